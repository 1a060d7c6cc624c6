//! Forward-auth for Envoy over gRPC: the filter `envoy.filters.http.ext_authz` with a `grpc_service`. The rules are
//! those of the HTTP route. An Envoy route may demand more in `context_extensions`, with the names of the HTTP query.
//!
//! An accepted request gets each identity header that has a value. The other identity headers are removed, so the
//! client cannot set them. So is each header of the request that is another spelling of one, such as `x_auth_roles`. Envoy
//! has to send all headers for that: leave `allowed_headers` alone.
//!
//! Header values are bytes. Envoy sends them in `headers`, or with `encode_raw_headers` in `header_map`.

use std::collections::HashMap;

use axum::{
    Router,
    body::to_bytes,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{self, HOST},
    },
    response::IntoResponse as _,
};
use countermark_proto::envoy_auth_v3::{
    self as envoy, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValueOption, HttpStatus,
    OkHttpResponse,
    attribute_context::HttpRequest,
    authorization_server::{Authorization, AuthorizationServer},
    check_response::HttpResponse,
    header_value_option::HeaderAppendAction,
};
use tonic::{Code, Request, Response, Status};

use super::{Demand, ForwardAuth, Identity, Original, alias::is_alias};
use crate::http::{ErrorAnswer, Rejection};

/// Largest accepted message: 64 KiB. Envoy sends the headers, and no body unless it is configured to.
const MAX_BYTES: usize = 64 * 1024;

/// The gRPC service as a router, to merge with other routes. A port that speaks HTTP/2 then answers gRPC too.
pub fn router(gate: ForwardAuth) -> Router {
    Router::new().route_service("/envoy.service.auth.v3.Authorization/Check", server(gate))
}

/// The gRPC service, for a tonic server.
#[must_use]
pub fn server(gate: ForwardAuth) -> AuthorizationServer<Checker> {
    AuthorizationServer::new(Checker(gate)).max_decoding_message_size(MAX_BYTES)
}

/// Implements `envoy.service.auth.v3.Authorization`.
#[derive(Clone, Debug)]
pub struct Checker(ForwardAuth);

#[tonic::async_trait]
impl Authorization for Checker {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let attributes = request.into_inner().attributes.unwrap_or_default();
        let asked = attributes.context_extensions;
        let http = attributes.request.and_then(|request| request.http).unwrap_or_default();
        let aliases = aliases(&http);
        let answer = match self.decide(http, &asked).await {
            Ok(identity) => admitted(&identity, aliases),
            Err(rejection) => denied(rejection).await,
        };
        Ok(Response::new(answer))
    }
}

impl Checker {
    async fn decide(
        &self,
        http: HttpRequest,
        asked: &HashMap<String, String>,
    ) -> Result<Identity, Rejection> {
        let pairs = asked.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        let demand = Demand::of(pairs).map_err(|error| ErrorAnswer::invalid_request(error.to_string()))?;
        let headers = headers(&http);
        match http.method.parse::<Method>() {
            Ok(method) if !http.path.is_empty() => {
                self.0.check(&Original { method, target: http.path, headers }, &demand).await
            }
            Ok(_) | Err(_) => self.0.check_unnamed(headers, &demand).await,
        }
    }
}

/// Names and values of the original request, in both forms that Envoy has.
fn sent(http: &HttpRequest) -> impl Iterator<Item = (&str, &[u8])> {
    let raw = http.header_map.iter().flat_map(|map| &map.headers).map(|header| {
        let value = if header.raw_value.is_empty() { header.value.as_bytes() } else { &header.raw_value };
        (header.key.as_str(), value)
    });
    http.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).chain(raw)
}

/// The headers of the original request. Envoy sends the pseudo-headers in other fields, too.
fn headers(http: &HttpRequest) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in sent(http) {
        // An invalid header cannot hold a token or a CSRF value.
        let Ok(name) = name.parse::<HeaderName>() else { continue };
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        headers.append(name, value);
    }
    if let Ok(host) = http.host.parse() {
        headers.entry(HOST).or_insert(host);
    }
    headers
}

/// The headers that a framework may take for an identity header.
fn aliases(http: &HttpRequest) -> Vec<String> {
    let mut aliases: Vec<_> =
        sent(http).filter(|(name, _)| is_alias(name)).map(|(name, _)| name.to_owned()).collect();
    aliases.sort_unstable();
    aliases.dedup();
    aliases
}

fn admitted(identity: &Identity, aliases: Vec<String>) -> CheckResponse {
    let (said, unsaid): (Vec<_>, Vec<_>) =
        identity.headers().into_iter().partition(|(_, value)| !value.is_empty());
    let unsaid = unsaid.into_iter().map(|(name, _)| name.to_string());
    let ok = OkHttpResponse {
        headers: said.iter().map(|(name, value)| set(name, value)).collect(),
        headers_to_remove: unsaid.chain(aliases).collect(),
    };
    answer(Code::Ok, HttpResponse::OkResponse(ok))
}

/// Answers with the response of the HTTP route.
async fn denied(refusal: Rejection) -> CheckResponse {
    let (mut parts, body) = refusal.into_response().into_parts();
    // The guard's renderer has decided the status. A status is one of any number, so the last arm takes all others.
    let code = match parts.status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        _ => Code::PermissionDenied,
    };
    // Envoy computes the length of the body itself.
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let body = to_bytes(body, MAX_BYTES).await.unwrap_or_default();
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(parts.status.as_u16()) }),
        headers: parts.headers.iter().map(|(name, value)| set(name, value)).collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    answer(code, HttpResponse::DeniedResponse(denied))
}

fn answer(code: Code, response: HttpResponse) -> CheckResponse {
    let status = envoy::Status { code: i32::from(code), message: String::new() };
    CheckResponse { status: Some(status), http_response: Some(response) }
}

/// Replaces every header with this name.
fn set(name: &HeaderName, value: &HeaderValue) -> HeaderValueOption {
    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
    HeaderValueOption {
        header: Some(envoy::HeaderValue { key: name.to_string(), value, raw_value: Vec::new() }),
        append_action: i32::from(HeaderAppendAction::OverwriteIfExistsOrAdd),
    }
}
