//! Tokens for browsers: cookies that scripts can't read, and a CSRF value that only pages of this site can repeat.
//!
//! The access cookie goes to every path, so that other services of the same host or domain receive it too. The refresh
//! cookie goes to `/refresh` only, and never to another host. Both live as long as the session may. So a browser sends an
//! expired access token to `/logout`, which accepts it: the refresh cookie does not go there.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, header::SET_COOKIE},
    response::{IntoResponse, Response},
};
use countermark::http::{ACCESS_COOKIES, cookie};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::NO_STORE;
use crate::ops::tokens::mint::IssuedTokens;

/// The name of the refresh cookie.
const REFRESH_COOKIE: &str = "__Secure-refresh_token";

/// The answer of a login and of a refresh that set the tokens as cookies.
#[derive(Debug, Serialize, ToSchema)]
pub struct CookieAnswer {
    /// The CSRF value. Every unsafe request repeats it in `X-CSRF-Token`. It does not change during the session.
    csrf: String,
    /// How long the access token lives, in seconds.
    #[schema(example = 900)]
    expires_in: u64,
    /// How long both cookies live if there is no refresh, in seconds.
    #[schema(example = 2_592_000)]
    refresh_expires_in: u64,
    /// What the access token may be used for, space-separated.
    scope: String,
}

/// The answer that puts `tokens` into cookies; `domain` is that of the access cookie.
#[must_use]
pub fn respond(tokens: IssuedTokens, domain: Option<&str>) -> Response {
    let max_age = tokens.refresh_expires_in.as_secs();
    let access = access_cookie(&tokens.access_token, max_age, domain);
    let refresh = refresh_cookie(&tokens.refresh_token, max_age);
    let body = CookieAnswer {
        csrf: tokens.csrf.unwrap_or_default(),
        expires_in: tokens.expires_in.as_secs(),
        refresh_expires_in: max_age,
        scope: tokens.scope.to_string(),
    };
    with_cookies((NO_STORE, Json(body)).into_response(), [access, refresh], domain)
}

/// The answer, with both cookies emptied.
pub fn cleared(answer: impl IntoResponse, domain: Option<&str>) -> Response {
    with_cookies(answer.into_response(), [access_cookie("", 0, domain), refresh_cookie("", 0)], domain)
}

/// The refresh token of the cookie.
pub fn refresh_token(headers: &HeaderMap) -> Option<String> {
    cookie(headers, &[REFRESH_COOKIE]).map(str::to_owned)
}

fn access_cookie(token: &str, max_age: u64, domain: Option<&str>) -> String {
    let [host, of_domain] = ACCESS_COOKIES;
    let (name, domain) =
        domain.map_or((host, String::new()), |domain| (of_domain, format!("; Domain={domain}")));
    format!("{name}={token}; Path=/; Max-Age={max_age}; HttpOnly; Secure; SameSite=Lax{domain}")
}

fn refresh_cookie(token: &str, max_age: u64) -> String {
    format!("{REFRESH_COOKIE}={token}; Path=/refresh; Max-Age={max_age}; HttpOnly; Secure; SameSite=Strict")
}

fn with_cookies(mut answer: Response, cookies: [String; 2], domain: Option<&str>) -> Response {
    // The host's cookie wins over the domain's. A host's cookie from before the domain was set would hide the new one.
    let left_over = domain.map(|_| access_cookie("", 0, None));
    for cookie in cookies.into_iter().chain(left_over) {
        if let Ok(mut value) = HeaderValue::try_from(cookie) {
            value.set_sensitive(true);
            answer.headers_mut().append(SET_COOKIE, value);
        }
    }
    answer
}
