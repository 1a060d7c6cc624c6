//! Protection against cross-site requests. A browser sends a cookie also with a request that another site caused. Only a page
//! of the service can repeat the CSRF value from the login.

use std::borrow::Cow;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::{HeaderValue, request::Parts};

use super::{Locations, from_body::FromBody, location::Csrf};
use crate::verify::{AuthError, Claims};

/// Checks a request with a token in a cookie, when its method needs that.
pub(super) fn check(parts: &Parts, locations: &Locations, claims: &Claims) -> Result<(), AuthError> {
    let Some(csrf) = locations.csrf.as_ref().filter(|csrf| csrf.is_asked_at(&parts.method)) else {
        return Ok(());
    };
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
