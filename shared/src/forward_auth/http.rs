//! The route for proxies that ask over HTTP. The proxy names the original request in headers: `X-Original-Method` and
//! `X-Original-URI` (nginx, by its configuration), or `X-Forwarded-Method` and `X-Forwarded-Uri` (Traefik, Caddy).
//! These headers count only if they come from a trusted proxy. When both kinds are there, they must agree, because one
//! could be the client's.
//!
//! A request with a header in another spelling of an identity header, such as `X_Auth_Roles`, is refused: the answer can
//! replace a header, and can't remove one. A proxy that removes these headers before it asks never meets this.
//!
//! The proxy may add a demand in the query of the URL that it asks: `/auth?scope=documents:write&fresh=true`. The
//! demand applies in addition to the rules.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header::CACHE_CONTROL},
    response::{IntoResponse, Response},
    routing::any,
};

use super::{Demand, ForwardAuth, Original, alias::is_alias, gate::Closed};
use crate::http::{ErrorAnswer, Rejection};

const METHODS: [HeaderName; 2] =
    [HeaderName::from_static("x-original-method"), HeaderName::from_static("x-forwarded-method")];
const TARGETS: [HeaderName; 2] =
    [HeaderName::from_static("x-original-uri"), HeaderName::from_static("x-forwarded-uri")];

/// A router with the one route `/auth`, for every method. It answers 200 with the identity headers, or a refusal that
/// the guard renders. It reads the peer's address from axum's `ConnectInfo<SocketAddr>`.
pub fn router(gate: ForwardAuth) -> Router {
    Router::new().route("/auth", any(answer)).with_state(gate)
}

async fn answer(State(gate): State<ForwardAuth>, request: Request) -> Response {
    let mut response = match check(&gate, request).await {
        Ok(identity) => identity.headers().into_iter().collect::<HeaderMap>().into_response(),
        Err(rejection) => rejection.into_response(),
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn check(gate: &ForwardAuth, request: Request) -> Result<super::Identity, Rejection> {
    let (parts, _) = request.into_parts();
    let asked = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let demand = Demand::of(asked).map_err(|error| ErrorAnswer::invalid_request(error.to_string()))?;
    if parts.headers.keys().any(|name| is_alias(name.as_str())) {
        return Err(ForwardAuth::close(Closed::Alias));
    }
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    if !peer.is_some_and(|peer| gate.trusts(peer)) {
        return gate.check_unnamed(parts.headers, &demand).await;
    }
    let method = one_of(&parts.headers, &METHODS).map_err(ForwardAuth::close)?;
    let target = one_of(&parts.headers, &TARGETS).map_err(ForwardAuth::close)?;
    match (method.and_then(|method| method.parse::<Method>().ok()), target) {
        (Some(method), Some(target)) => {
            let original = Original { method, target: target.to_owned(), headers: parts.headers };
            gate.check(&original, &demand).await
        }
        _ => gate.check_unnamed(parts.headers, &demand).await,
    }
}

/// The value of the header with one of `names`. Several values must be equal.
fn one_of<'h>(headers: &'h HeaderMap, names: &[HeaderName]) -> Result<Option<&'h str>, Closed> {
    let mut values = names.iter().flat_map(|name| headers.get_all(name));
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(Closed::NoOriginal);
    }
    first.to_str().map(Some).map_err(|_| Closed::NoOriginal)
}
