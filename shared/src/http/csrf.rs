//! Protection against cross-site requests. A browser sends a cookie also with a request that another site caused. Only a page
//! of the service can repeat the CSRF value from the login. A page that opens a WebSocket can't send that header, so its origin
//! counts there.

use std::borrow::Cow;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::{HeaderValue, request::Parts};

use super::{Locations, from_body::FromBody, location::Csrf, websocket};
use crate::verify::{AuthError, Claims};

/// Checks a request with a token in a cookie, when its method needs that.
pub(super) fn check(parts: &Parts, locations: &Locations, claims: &Claims) -> Result<(), AuthError> {
    let Some(csrf) = locations.csrf.as_ref() else { return Ok(()) };
    if websocket::is_handshake(parts) {
        return match check_value(parts, csrf, claims) {
            Err(AuthError::CsrfMissing) if websocket::is_of_own_page(parts, &csrf.origins) => Ok(()),
            Err(AuthError::CsrfMissing) => Err(AuthError::CsrfOrigin),
            checked => checked,
        };
    }
    if csrf.is_asked_at(&parts.method) { check_value(parts, csrf, claims) } else { Ok(()) }
}

fn check_value(parts: &Parts, csrf: &Csrf, claims: &Claims) -> Result<(), AuthError> {
    let sent = sent(parts, csrf).filter(|sent| !sent.is_empty()).ok_or(AuthError::CsrfMissing)?;
    let expected = claims.csrf.as_deref().filter(|expected| !expected.is_empty());
    let expected = expected.ok_or(AuthError::CsrfClaimMissing)?;
    verify_slices_are_equal(&sent, expected.as_bytes()).map_err(|_| AuthError::CsrfMismatch)
}

fn sent<'p>(parts: &'p Parts, csrf: &Csrf) -> Option<Cow<'p, [u8]>> {
    if let Some(value) = parts.headers.get(&csrf.header) {
        return Some(Cow::Borrowed(HeaderValue::as_bytes(value)));
    }
    csrf.field.as_ref()?;
    parts.extensions.get::<FromBody>()?.csrf.as_ref().map(|value| Cow::Borrowed(value.as_bytes()))
}
