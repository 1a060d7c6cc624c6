//! The HTTP interface. It parses, makes one call on the operations, and maps the answer. [`routes`] is the table of all of it.

pub mod answer;
pub mod barrier;
pub mod cookies;
pub mod csrf;
pub mod docs;
pub mod error;
pub mod jwks;
pub mod login;
pub mod logout;
pub mod me;
pub mod metadata;
pub mod oauth;
pub mod password;
pub mod refresh;
pub mod register;
pub mod routes;
pub mod sessions;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::FromRef,
    http::{HeaderMap, HeaderValue, header},
};
use countermark::{
    clock::Clock,
    http::{Guard, Location},
    issuer::{KeySource, TrustedIssuer},
};
use countermark_service::http::{Arrival, CorsOrigin};

use crate::{domain::session::Device, ops::AuthService};
use cookies::CookieScope;

/// The state that the handlers share.
#[derive(Clone, Debug)]
pub struct HttpState {
    auth: Arc<AuthService>,
    guard: Guard,
    /// The `Cache-Control` of the key set and of the metadata.
    cache_control: HeaderValue,
    cookies: CookieScope,
    /// The path of the issuer's URL, below which clients find the routes. Empty for the root.
    base: Arc<str>,
    /// The origins of pages that may call.
    cors_origins: Arc<[CorsOrigin]>,
}

impl HttpState {
    /// Calls `auth`. The service's own routes accept tokens signed with the keys of `keys`, from cookies too.
    #[must_use]
    pub fn new(
        auth: Arc<AuthService>,
        keys: Arc<dyn KeySource>,
        clock: Arc<dyn Clock>,
        jwks_max_age: Duration,
        cookie_domain: Option<String>,
    ) -> Self {
        let base = auth.issuer_path().to_owned();
        let issuer = TrustedIssuer::new(auth.tokens.verifier().clone(), keys, clock)
            .with_revocations(Arc::clone(auth.tokens.revocations()))
            .with_cache(Arc::clone(auth.tokens.cache()));
        let guard = Guard::new(issuer, auth.issuer().as_str())
            .with_locations(vec![Location::Header, Location::Cookie]);
        let cache_control = HeaderValue::try_from(format!("public, max-age={}", jwks_max_age.as_secs()));
        // Digits are always a valid header value.
        let cache_control = cache_control.unwrap_or_else(|_| HeaderValue::from_static("no-cache"));
        Self {
            auth,
            guard,
            cache_control,
            cookies: CookieScope {
                domain: cookie_domain.map(Arc::from),
                refresh_path: format!("{base}/refresh").into(),
            },
            base: base.into(),
            cors_origins: Arc::default(),
        }
    }

    /// Lets pages of these origins read the CSRF value.
    #[must_use]
    pub fn with_cors_origins(self, origins: &[CorsOrigin]) -> Self {
        Self { cors_origins: origins.into(), ..self }
    }

    fn allows(&self, origin: &[u8]) -> bool {
        self.cors_origins.iter().any(|allowed| allowed.as_str().as_bytes() == origin)
    }
}

impl FromRef<HttpState> for Guard {
    fn from_ref(state: &HttpState) -> Self {
        state.guard.clone()
    }
}

/// The device that sent a request, for the session that it uses.
fn device(headers: &HeaderMap, arrival: &Arrival) -> Device {
    let user_agent = headers.get(header::USER_AGENT);
    let user_agent =
        user_agent.map(|value| String::from_utf8_lossy(value.as_bytes()).chars().take(255).collect());
    Device { user_agent, address: Some(arrival.client_address.to_string()) }
}
