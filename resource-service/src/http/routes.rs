//! The route table, with the scope and the role that each route asks. What is common to all routes, 404 and 405 among
//! them, lies around it: [`layers`](countermark_service::http::layers).

use axum::{
    Router,
    extract::FromRef,
    http::{HeaderValue, header::CACHE_CONTROL},
    middleware::map_response,
    response::Response,
    routing::{get, post},
};
use countermark::http::{BodyTokens, Guard};

use super::{MAX_BODY_BYTES, admin, claims, documents, expired, fresh, optional, protected};
use crate::documents::Store;

/// What the routes reach: the guard that judges tokens, and the documents behind it.
#[derive(Clone, Debug)]
pub struct HttpState {
    /// TrustedIssuers tokens.
    pub guard: Guard,
    /// Everybody's documents.
    pub documents: Store,
}

countermark::scope!(Read = "documents:read");
countermark::scope!(Write = "documents:write");
countermark::role!(Admin = "admin");

/// Every route. Tokens are looked for where the guard of `door` was told to look.
pub fn router(state: HttpState) -> Router {
    let bodies = BodyTokens::new(state.guard.clone(), MAX_BODY_BYTES);
    let personal = Router::new()
        .route("/claims", get(claims::show))
        .route("/documents", get(documents::list::<Read>).post(documents::create::<Write>))
        .route(
            "/documents/{id}",
            get(documents::show::<Read>).put(documents::replace::<Write>).delete(documents::delete::<Write>),
        )
        .layer(map_response(no_store));
    Router::new()
        .route("/protected-route", get(protected::show))
        .route("/optional", get(optional::show))
        .route("/fresh", get(fresh::show))
        .route("/expired", post(expired::show))
        .route("/admin", get(admin::show::<Admin>))
        .merge(personal)
        .with_state(state)
        .layer(bodies)
}

/// What is one caller's own stays out of every cache.
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
