//! The route table.

use axum::{
    Router,
    routing::{get, post},
};

use super::{Door, docs, jwks, login, me, metadata, refresh, register};

/// Every route of the HTTP port.
pub fn routes(door: Door) -> Router {
    Router::new()
        .route("/register", post(register::register))
        .route("/login", post(login::login))
        .route("/refresh", post(refresh::refresh))
        .route("/me", get(me::me))
        .route("/.well-known/jwks.json", get(jwks::jwks))
        .route("/.well-known/oauth-authorization-server", get(metadata::authorization_server))
        .route("/.well-known/openid-configuration", get(metadata::openid_configuration))
        .route("/openapi.json", get(docs::openapi))
        .route("/docs", get(docs::page))
        .route("/docs/page.js", get(docs::script))
        .with_state(door)
}
