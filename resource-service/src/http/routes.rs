//! The routes, with the scope or the role that each needs. Each line makes a route and its description in the document.
//! [`layers`](countermark_service::http::layers) adds the rest around them, such as 404 and 405.

use axum::{
    Router,
    extract::FromRef,
    handler::Handler,
    http::{HeaderValue, header::CACHE_CONTROL},
    middleware::map_response,
    response::Response,
};
use countermark::http::{BodyTokens, Guard};
use countermark_service::openapi::Api;

use super::{
    MAX_BODY_BYTES, admin, claims, describe_documents, docs, documents, expired, fresh, optional, protected,
};
use crate::documents::Store;

/// The state of the handlers.
#[derive(Clone, Debug)]
pub struct HttpState {
    /// Verifies tokens.
    pub guard: Guard,
    /// All documents.
    pub documents: Store,
}

countermark::scope!(Read = "documents:read");
countermark::scope!(Write = "documents:write");
countermark::role!(Admin = "admin");

/// Every route. Tokens are looked for at the locations of the guard of `state`.
pub fn router(state: HttpState) -> Router {
    let bodies = BodyTokens::new(state.guard.clone(), MAX_BODY_BYTES);
    Api::new(
        "Countermark resource-service",
        "Routes that an access token opens, and documents behind them.",
        docs::security(),
    )
    .get("/protected-route", protected::show, protected::describe())
    .get("/optional", optional::show, optional::describe())
    .get("/fresh", fresh::show, fresh::describe())
    .post("/expired", expired::show, expired::describe())
    .get("/claims", uncached(claims::show), claims::describe())
    .get("/admin", admin::show::<Admin>, admin::describe())
    .get("/documents", uncached(documents::list::<Read>), describe_documents::list())
    .post("/documents", uncached(documents::create::<Write>), describe_documents::create())
    .get("/documents/{id}", uncached(documents::show::<Read>), describe_documents::show())
    .put("/documents/{id}", uncached(documents::replace::<Write>), describe_documents::replace())
    .delete("/documents/{id}", uncached(documents::delete::<Write>), describe_documents::delete())
    .into_router()
    .with_state(state)
    .layer(bodies)
}

/// The handler, with answers that no cache keeps.
fn uncached<H: Handler<T, HttpState>, T: 'static>(handler: H) -> impl Handler<T, HttpState> {
    handler.layer(map_response(no_store))
}

/// Keeps an answer out of every cache.
async fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl FromRef<HttpState> for Guard {
    fn from_ref(state: &HttpState) -> Self {
        state.guard.clone()
    }
}

impl FromRef<HttpState> for Store {
    fn from_ref(state: &HttpState) -> Self {
        state.documents.clone()
    }
}
