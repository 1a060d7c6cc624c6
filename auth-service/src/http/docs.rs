//! `GET /openapi.json`, generated from the code, and `GET /docs`, a page to try the calls that needs nothing from
//! elsewhere.

use std::sync::LazyLock;

use axum::{
    body::Bytes,
    http::header,
    response::{Html, IntoResponse},
};
use serde::Serialize;
use utoipa::{
    Modify, OpenApi, ToSchema,
    openapi::{
        OpenApi as Document,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{jwks, login, logout, me, metadata, oauth, password, refresh, register, sessions};

/// Every error of the account routes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The code, for programs.
    #[schema(example = "bad_credentials")]
    error: &'static str,
    /// The sentence, for people.
    #[schema(example = "Bad email or password")]
    msg: &'static str,
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Countermark auth-service", description = "Accounts, sessions, RS256 access tokens, JWKS, OAuth."),
    paths(
        register::register,
        login::login,
        refresh::refresh,
        logout::logout,
        logout::logout_all,
        sessions::list,
        sessions::delete,
        me::me,
        password::change,
        jwks::jwks,
        oauth::token::token,
        oauth::introspect::introspect,
        oauth::revoke::revoke,
        metadata::authorization_server,
        metadata::openid_configuration,
    ),
    modifiers(&BearerTokens),
)]
struct Api;

/// How tokens are shown.
struct BearerTokens;

impl Modify for BearerTokens {
    fn modify(&self, document: &mut Document) {
        let bearer = |format: &str, description: &str| {
            let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format(format);
            SecurityScheme::Http(scheme.description(Some(description)).build())
        };
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("access", bearer("JWT", "An access token"));
        components.add_security_scheme("refresh", bearer("opaque", "A refresh token"));
        let client = HttpBuilder::new().scheme(HttpAuthScheme::Basic);
        let client = client.description(Some("A client's id and secret")).build();
        components.add_security_scheme("client", SecurityScheme::Http(client));
    }
}

/// The document, written once.
static DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| serde_json::to_vec(&Api::openapi()).map_or_else(|_| Bytes::new(), Bytes::from));

/// The `OpenAPI` document.
pub async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone())
}

/// The page.
pub async fn page() -> impl IntoResponse {
    // The page runs its own script and calls its own origin, nothing else: a token that was pasted into it stays there.
    let policy = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; \
                  base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("docs/page.html")))
}

/// The page's script.
pub async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("docs/page.js"))
}
