//! Tokens for browsers: cookies that scripts can't read, and a CSRF value that only pages of this site can repeat.
//!
//! The access cookie goes to every path, so that other services of the same host or domain receive it too. The refresh
//! cookie goes to `/refresh` only, below the issuer's path, and never to another host. Both live as long as the session may. So a browser sends an
//! expired access token to `/logout`, which accepts it: the refresh cookie does not go there.

use std::sync::Arc;

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, header::SET_COOKIE},
    response::{IntoResponse, Response},
};
use countermark::http::{ACCESS_COOKIES, cookies};
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

/// Where browsers send the cookies.
#[derive(Clone, Debug)]
pub struct CookieScope {
    /// The domain of the access cookie. `None`: it is sent to this host alone.
    pub domain: Option<Arc<str>>,
    /// The path of the refresh cookie.
    pub refresh_path: Arc<str>,
}

impl CookieScope {
    /// The answer that puts `tokens` into cookies.
    #[must_use]
    pub fn respond(&self, tokens: IssuedTokens) -> Response {
        let max_age = tokens.refresh_expires_in.as_secs();
        let cookies =
            [self.access(&tokens.access_token, max_age), self.refresh(&tokens.refresh_token, max_age)];
        let body = CookieAnswer {
            csrf: tokens.csrf.unwrap_or_default(),
            expires_in: tokens.expires_in.as_secs(),
            refresh_expires_in: max_age,
            scope: tokens.scope.to_string(),
        };
        self.with_cookies((NO_STORE, Json(body)).into_response(), cookies)
    }

    /// The answer, with both cookies emptied.
    pub fn cleared(&self, answer: impl IntoResponse) -> Response {
        self.with_cookies(answer.into_response(), [self.access("", 0), self.refresh("", 0)])
    }

    fn access(&self, token: &str, max_age: u64) -> String {
        access_cookie(token, max_age, self.domain.as_deref())
    }

    fn refresh(&self, token: &str, max_age: u64) -> String {
        let path = &self.refresh_path;
        format!("{REFRESH_COOKIE}={token}; Path={path}; Max-Age={max_age}; HttpOnly; Secure; SameSite=Strict")
    }

    fn with_cookies(&self, mut answer: Response, cookies: [String; 2]) -> Response {
        // The host's cookie wins over the domain's. A host's cookie from before the domain was set would hide the new one.
        let left_over = self.domain.as_ref().map(|_| access_cookie("", 0, None));
        for cookie in cookies.into_iter().chain(left_over) {
            if let Ok(mut value) = HeaderValue::try_from(cookie) {
                value.set_sensitive(true);
                answer.headers_mut().append(SET_COOKIE, value);
            }
        }
        answer
    }
}

/// The refresh tokens of the cookies. Another host of the domain can add one to ours.
pub fn refresh_tokens(headers: &HeaderMap) -> Vec<String> {
    cookies(headers, REFRESH_COOKIE).map(str::to_owned).collect()
}

fn access_cookie(token: &str, max_age: u64, domain: Option<&str>) -> String {
    let [host, of_domain] = ACCESS_COOKIES;
    let (name, domain) =
        domain.map_or((host, String::new()), |domain| (of_domain, format!("; Domain={domain}")));
    format!("{name}={token}; Path=/; Max-Age={max_age}; HttpOnly; Secure; SameSite=Lax{domain}")
}
