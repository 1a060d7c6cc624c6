//! The route that proxies ask over HTTP. They name the original request in headers, which are believed of trusted proxies
//! alone: `X-Original-Method` and `X-Original-URI` (nginx by its configuration), or `X-Forwarded-Method` and
//! `X-Forwarded-Uri` (Traefik, Caddy). Both kinds at once have to say the same: one of them could be the client's.
//!
//! What a route asks may stand in the query of the URL that its proxy asks: `/auth?scope=documents:write&fresh=true`. It
//! is asked beside the rules.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header::CACHE_CONTROL},
    response::{IntoResponse, Response},
    routing::any,
};

use super::{Demand, ForwardAuth, Original, gate::Closed};
use crate::http::{ErrorAnswer, Rejection};

const METHODS: [HeaderName; 2] =
    [HeaderName::from_static("x-original-method"), HeaderName::from_static("x-forwarded-method")];
const TARGETS: [HeaderName; 2] =
    [HeaderName::from_static("x-original-uri"), HeaderName::from_static("x-forwarded-uri")];

/// A router with the one route `/auth`, for any method: 200 with the identity headers, or a refusal as the guard answers it,
/// by our contract unless it has a renderer of its own. It needs to know its peers, as axum's `ConnectInfo<SocketAddr>`.
pub fn router(gate: ForwardAuth) -> Router {
    Router::new().route("/auth", any(answer)).with_state(gate)
}

async fn answer(State(gate): State<ForwardAuth>, request: Request) -> Response {
    let mut response = match judge(&gate, request).await {
        Ok(identity) => identity.headers().into_iter().collect::<HeaderMap>().into_response(),
        Err(refusal) => refusal.into_response(),
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn judge(gate: &ForwardAuth, request: Request) -> Result<super::Identity, Rejection> {
    let (parts, _) = request.into_parts();
    let asked = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let demand = Demand::of(asked).map_err(|error| ErrorAnswer::invalid_request(error.to_string()))?;
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    if !peer.is_some_and(|peer| gate.trusts(peer)) {
        return gate.judge_unnamed(parts.headers, &demand).await;
    }
    let method = one_of(&parts.headers, &METHODS).map_err(ForwardAuth::close)?;
    let target = one_of(&parts.headers, &TARGETS).map_err(ForwardAuth::close)?;
    match (method.and_then(|method| method.parse::<Method>().ok()), target) {
        (Some(method), Some(target)) => {
            let original = Original { method, target: target.to_owned(), headers: parts.headers };
            gate.judge(&original, &demand).await
        }
        _ => gate.judge_unnamed(parts.headers, &demand).await,
    }
}

/// The value of the one header that is there; several have to agree.
fn one_of<'h>(headers: &'h HeaderMap, names: &[HeaderName]) -> Result<Option<&'h str>, Closed> {
    let mut values = names.iter().flat_map(|name| headers.get_all(name));
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err(Closed::NoOriginal);
    }
    first.to_str().map(Some).map_err(|_| Closed::NoOriginal)
}
