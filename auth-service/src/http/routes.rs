//! The route table.

use axum::{
    Router,
    routing::{delete, get, post},
};

use super::{
    HttpState, docs, jwks, login, logout, me, metadata, oauth, password, refresh, register, sessions,
};

/// Every route of the HTTP port.
pub fn routes(state: HttpState) -> Router {
    Router::new()
        .route("/register", post(register::register))
        .route("/login", post(login::login))
        .route("/refresh", post(refresh::refresh))
        .route("/logout", post(logout::logout))
        .route("/logout-all", post(logout::logout_all))
        .route("/sessions", get(sessions::list))
        .route("/sessions/{id}", delete(sessions::delete))
        .route("/password", post(password::change))
        .route("/me", get(me::me))
        .route("/.well-known/jwks.json", get(jwks::jwks))
        .route("/.well-known/oauth-authorization-server", get(metadata::authorization_server))
        .route("/.well-known/openid-configuration", get(metadata::openid_configuration))
        .route("/oauth/token", post(oauth::token::token))
        .route("/oauth/introspect", post(oauth::introspect::introspect))
        .route("/oauth/revoke", post(oauth::revoke::revoke))
        .route("/openapi.json", get(docs::openapi))
        .route("/docs", get(docs::page))
        .route("/docs/page.js", get(docs::script))
        .with_state(state)
}
