//! The routes, with the scope or the role that each needs. Each line makes a route and its description in the document.
//! [`layers`](countermark_service::http::layers) adds the rest around them, such as 404 and 405.

use axum::{
    Router,
    extract::{FromRef, Request},
    http::{HeaderValue, header::CACHE_CONTROL},
    middleware::{Next, from_fn},
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
    .get("/claims", claims::show, claims::describe())
    .get("/admin", admin::show::<Admin>, admin::describe())
    .get("/documents", documents::list::<Read>, describe_documents::list())
    .post("/documents", documents::create::<Write>, describe_documents::create())
    .get("/documents/{id}", documents::show::<Read>, describe_documents::show())
    .put("/documents/{id}", documents::replace::<Write>, describe_documents::replace())
    .delete("/documents/{id}", documents::delete::<Write>, describe_documents::delete())
    .into_router()
    .with_state(state)
    .layer(bodies)
}

/// Keeps the answers of some paths out of every cache: claims, and documents. It goes around everything else, so that answers of
/// no handler are kept out too, such as 405.
pub fn uncached(router: Router) -> Router {
    router.layer(from_fn(no_store))
}

async fn no_store(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_private = path == "/claims" || path == "/documents" || path.starts_with("/documents/");
    let mut response = next.run(request).await;
    if is_private {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
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
