//! `GET /csrf`: the CSRF value again, for a page that did not log in itself or was loaded anew. A page on another host of the
//! cookie's domain can't read the cookie, and has to refresh with that value.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header::ORIGIN},
    response::IntoResponse,
};
use countermark::{http::Location, verify::AuthError};
use countermark_service::openapi::{Operation, Reply};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    HttpState,
    answer::NO_STORE,
    docs::CHALLENGE,
    error::{HttpError, refused},
};

/// How the page and this service are related. Browsers set it, and no page can.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The CSRF value of a session.
#[derive(Debug, Serialize, ToSchema)]
pub struct CsrfAnswer {
    /// Every unsafe request by cookie repeats it in `X-CSRF-Token`. It does not change during the session.
    csrf: String,
}

/// Shows the CSRF value of the access cookie, which may have expired: a page needs the value to refresh.
///
/// # Errors
/// [`HttpError`] when the page is of another origin, or the cookie is absent or not accepted.
pub async fn show(State(state): State<HttpState>, request: Request) -> Result<impl IntoResponse, HttpError> {
    let (parts, _) = request.into_parts();
    if !is_of_our_page(&state, &parts.headers) {
        let reason = "the CSRF value is for pages of the allowed origins alone";
        let msg = "The CSRF value is for pages of this host and of the origins in AUTH_CORS_ORIGINS";
        return Err(refused(&reason, StatusCode::FORBIDDEN, "origin_not_allowed", msg).into());
    }
    let by_cookie = state.guard.clone().with_locations([Location::Cookie]);
    let token = by_cookie.verify_any_age(&parts).await?.ok_or(AuthError::MissingToken)?;
    let csrf = token.claims().csrf.as_deref().filter(|csrf| !csrf.is_empty());
    let csrf = csrf.ok_or(AuthError::CsrfClaimMissing)?.to_owned();
    Ok((NO_STORE, Json(CsrfAnswer { csrf })))
}

/// A page of the same host sends no origin with a GET.
fn is_of_our_page(state: &HttpState, headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => state.allows(origin.as_bytes()),
        (Some(_), Some(_)) => false,
        (None, _) => headers.get(FETCH_SITE).is_some_and(|site| site == "same-origin"),
    }
}

/// Describes `GET /csrf`.
pub(super) fn describe() -> Operation {
    Operation::new("csrf", "Sessions", "Shows the CSRF value of the session again.")
        .describe(
            "For a page on another host of the cookie's domain, or one that was loaded anew. It takes the access cookie, which \
             may have expired, and an `Origin` of `AUTH_CORS_ORIGINS`, or `Sec-Fetch-Site: same-origin`.",
        )
        .secured_by(&["access_cookie"])
        .parameter("header", "Origin", "The origin of the page", json!({"type": "string"}))
        .reply(
            Reply::json::<CsrfAnswer>(200, "The CSRF value")
                .with_header("Cache-Control", "`no-store`"),
        )
        .reply(
            Reply::error(401, &["missing_token", "invalid_token"], "There is no access cookie, or it is not accepted")
                .with_header("WWW-Authenticate", CHALLENGE),
        )
        .reply(Reply::error(
            403,
            &["origin_not_allowed", "csrf"],
            "The page is of another origin, or the token was not made for cookies",
        ))
}
