//! The two metadata documents, by which clients configure themselves (RFC 8414 §3; OpenID Connect Discovery 1.0 §4). They
//! name existing endpoints only.

use axum::{
    Json,
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::IntoResponse,
};
use countermark_service::openapi::{Operation, Reply};
use serde::Serialize;
use utoipa::ToSchema;

use super::HttpState;
use crate::{domain::client::GrantType, ops::oauth::authenticate_client::TOKEN_ENDPOINT};

/// How clients authenticate; the last is for the public client alone.
const AUTH_METHODS: [&str; 4] = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];

/// The algorithms of client assertions.
const ASSERTION_ALGS: [&str; 2] = ["RS256", "ES256"];

/// The members of both documents.
#[derive(Debug, Serialize, ToSchema)]
pub struct Metadata {
    /// The issuer's URL, exactly as in `iss`.
    issuer: String,
    /// URL of the public keys.
    jwks_uri: String,
    /// The flows with a front channel: none.
    response_types_supported: [&'static str; 0],
    /// The grants of the token endpoint.
    grant_types_supported: [&'static str; 3],
    /// URL at which programs get tokens.
    token_endpoint: String,
    /// URL at which programs ask about tokens (RFC 7662).
    introspection_endpoint: String,
    /// URL at which tokens are revoked (RFC 7009).
    revocation_endpoint: String,
    /// How clients authenticate there.
    token_endpoint_auth_methods_supported: &'static [&'static str],
    /// How their assertions are signed.
    token_endpoint_auth_signing_alg_values_supported: &'static [&'static str],
    /// How clients authenticate to ask.
    introspection_endpoint_auth_methods_supported: &'static [&'static str],
    /// How their assertions are signed.
    introspection_endpoint_auth_signing_alg_values_supported: &'static [&'static str],
    /// How clients authenticate to revoke.
    revocation_endpoint_auth_methods_supported: &'static [&'static str],
    /// How their assertions are signed.
    revocation_endpoint_auth_signing_alg_values_supported: &'static [&'static str],
    /// How signed answers about tokens are signed (RFC 9701).
    introspection_signing_alg_values_supported: [&'static str; 1],
    /// URL of the documentation.
    service_documentation: String,
}

/// The members that OpenID Connect requires in addition.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenIdMetadata {
    #[serde(flatten)]
    common: Metadata,
    /// A subject is the same for every client.
    subject_types_supported: [&'static str; 1],
    /// How tokens are signed.
    id_token_signing_alg_values_supported: [&'static str; 1],
}

impl Metadata {
    fn of(state: &HttpState) -> Self {
        let issuer = state.auth.issuer().as_str();
        Self {
            issuer: issuer.to_owned(),
            jwks_uri: format!("{issuer}/.well-known/jwks.json"),
            response_types_supported: [],
            grant_types_supported: [
                GrantType::ClientCredentials.as_str(),
                GrantType::RefreshToken.as_str(),
                GrantType::TokenExchange.as_str(),
            ],
            token_endpoint: format!("{issuer}{TOKEN_ENDPOINT}"),
            introspection_endpoint: format!("{issuer}/oauth/introspect"),
            revocation_endpoint: format!("{issuer}/oauth/revoke"),
            token_endpoint_auth_methods_supported: &AUTH_METHODS,
            token_endpoint_auth_signing_alg_values_supported: &ASSERTION_ALGS,
            introspection_endpoint_auth_methods_supported: &AUTH_METHODS[..3],
            introspection_endpoint_auth_signing_alg_values_supported: &ASSERTION_ALGS,
            revocation_endpoint_auth_methods_supported: &AUTH_METHODS,
            revocation_endpoint_auth_signing_alg_values_supported: &ASSERTION_ALGS,
            introspection_signing_alg_values_supported: ["RS256"],
            service_documentation: format!("{issuer}/docs"),
        }
    }
}

/// The issuer, for OAuth clients (RFC 8414).
pub async fn authorization_server(State(state): State<HttpState>) -> impl IntoResponse {
    (cached(&state), Json(Metadata::of(&state)))
}

/// Describes `GET /.well-known/oauth-authorization-server`.
pub(super) fn describe_authorization_server() -> Operation {
    Operation::new("authorization_server", "Discovery", "Describes the issuer to OAuth clients (RFC 8414).")
        .reply(kept(Reply::json::<Metadata>(200, "The metadata")))
}

/// The issuer, for OpenID Connect clients.
pub async fn openid_configuration(State(state): State<HttpState>) -> impl IntoResponse {
    let body = OpenIdMetadata {
        common: Metadata::of(&state),
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["RS256"],
    };
    (cached(&state), Json(body))
}

/// Describes `GET /.well-known/openid-configuration`.
pub(super) fn describe_openid_configuration() -> Operation {
    Operation::new("openid_configuration", "Discovery", "Describes the issuer to OpenID Connect clients.")
        .reply(kept(Reply::json::<OpenIdMetadata>(200, "The metadata")))
}

fn kept(reply: Reply) -> Reply {
    reply.with_header("Cache-Control", "For how long the metadata may be kept")
}

fn cached(state: &HttpState) -> [(HeaderName, HeaderValue); 1] {
    [(header::CACHE_CONTROL, state.cache_control.clone())]
}
