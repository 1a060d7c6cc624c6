//! Tokens for browsers: cookies that scripts can't read, and a value that only a page of ours can repeat.
//!
//! The access cookie goes to every path, so that other services on the same host or domain get it, too; the refresh
//! cookie goes to `/refresh` alone, and never to another host. Both live as long as the session may: a browser sends an
//! access token that has expired, which is good enough for `/logout`, where the refresh cookie doesn't come.

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

/// What a login and a refresh answer when the tokens go into cookies.
#[derive(Debug, Serialize, ToSchema)]
pub struct CookieAnswer {
    /// To be repeated in `X-CSRF-Token` by every unsafe request; the same for the session's whole life.
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

/// The answer, and both cookies taken away.
pub fn cleared(answer: impl IntoResponse, domain: Option<&str>) -> Response {
    with_cookies(answer.into_response(), [access_cookie("", 0, domain), refresh_cookie("", 0)], domain)
}

/// The refresh token that a browser sent along.
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
    // The host's own cookie wins over the domain's. One from before there was a domain would stand in its way.
    let left_over = domain.map(|_| access_cookie("", 0, None));
    for cookie in cookies.into_iter().chain(left_over) {
        if let Ok(mut value) = HeaderValue::try_from(cookie) {
            value.set_sensitive(true);
            answer.headers_mut().append(SET_COOKIE, value);
        }
    }
    answer
}
