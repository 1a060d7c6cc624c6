//! The routes. Each line makes a route and its description in the document.

use axum::{Router, routing::get};
use countermark_service::openapi::Api;

use super::{
    HttpState, csrf, docs, jwks, login, logout, me, metadata,
    oauth::{introspect, revoke, token},
    password, refresh, register, sessions,
};

/// Every route of the HTTP port. `is_stripped` says that a proxy takes the issuer's path off each request.
pub fn routes(state: HttpState, is_stripped: bool) -> Router {
    let base = state.base.to_string();
    if base.is_empty() {
        return api(&state).into_router().with_state(state);
    }
    // RFC 8414 §3.1: between the host and the issuer's path.
    let metadata = format!("/.well-known/oauth-authorization-server{base}");
    let below = api(&state).into_router();
    let all = if is_stripped { below } else { Router::new().nest(&base, below) };
    all.route(&metadata, get(metadata::authorization_server)).with_state(state)
}

fn api(state: &HttpState) -> Api<HttpState> {
    Api::new(
        "Countermark auth-service",
        "Accounts, sessions, RS256 access tokens, JWKS, OAuth.",
        docs::security(),
    )
    .below(&state.base)
    .post("/register", register::register, register::describe())
    .post("/login", login::login, login::describe())
    .post("/refresh", refresh::refresh, refresh::describe())
    .get("/csrf", csrf::show, csrf::describe())
    .post("/logout", logout::logout, logout::describe())
    .post("/logout-all", logout::logout_all, logout::describe_all())
    .get("/sessions", sessions::list, sessions::describe_list())
    .delete("/sessions/{id}", sessions::delete, sessions::describe_delete())
    .post("/password", password::change, password::describe())
    .get("/me", me::me, me::describe())
    .get("/.well-known/jwks.json", jwks::jwks, jwks::describe())
    .get(
        "/.well-known/oauth-authorization-server",
        metadata::authorization_server,
        metadata::describe_authorization_server(),
    )
    .get(
        "/.well-known/openid-configuration",
        metadata::openid_configuration,
        metadata::describe_openid_configuration(),
    )
    .post("/oauth/token", token::token, token::describe())
    .post("/oauth/introspect", introspect::introspect, introspect::describe())
    .post("/oauth/revoke", revoke::revoke, revoke::describe())
}
