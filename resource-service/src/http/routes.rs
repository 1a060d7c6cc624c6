//! The route table, with the scope and the role that each route asks. What is common to all routes, 404 and 405 among
//! them, lies around it: [`layers`](shared::service::http::layers).

use axum::{
    Router,
    extract::FromRef,
    http::{HeaderValue, header::CACHE_CONTROL},
    middleware::{from_fn_with_state, map_response},
    response::Response,
    routing::{get, post},
};
use shared::http::{Guard, Location, RequiredRole, RequiredScope, location};

use super::{MAX_BODY_BYTES, admin, claims, documents, expired, fresh, optional, protected};
use crate::documents::Store;

/// What the routes reach: the guard that judges tokens, and the documents behind it.
#[derive(Clone, Debug)]
pub struct Door {
    /// Judges tokens.
    pub guard: Guard,
    /// Everybody's documents.
    pub documents: Store,
}

/// The scope `documents:read`.
struct Read;

impl RequiredScope for Read {
    const SCOPE: &'static str = "documents:read";
}

/// The scope `documents:write`.
struct Write;

impl RequiredScope for Write {
    const SCOPE: &'static str = "documents:write";
}

/// The role `admin`.
struct Admin;

impl RequiredRole for Admin {
    const ROLE: &'static str = "admin";
}

/// Every route. Tokens are looked for where the guard of `door` was told to look, in `locations`.
pub fn router(door: Door, locations: &[Location]) -> Router {
    let personal = Router::new()
        .route("/claims", get(claims::show))
        .route("/documents", get(documents::list::<Read>).post(documents::create::<Write>))
        .route(
            "/documents/{id}",
            get(documents::show::<Read>).put(documents::replace::<Write>).delete(documents::delete::<Write>),
        )
        .layer(map_response(no_store));
    let router = Router::new()
        .route("/protected-route", get(protected::show))
        .route("/optional", get(optional::show))
        .route("/fresh", get(fresh::show))
        .route("/expired", post(expired::show))
        .route("/admin", get(admin::show::<Admin>))
        .merge(personal)
        .with_state(door);
    if locations.contains(&Location::Json) {
        router.layer(from_fn_with_state(MAX_BODY_BYTES, location::json_body))
    } else {
        router
    }
}

/// What is one caller's own stays out of every cache.
async fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl FromRef<Door> for Guard {
    fn from_ref(door: &Door) -> Self {
        door.guard.clone()
    }
}

impl FromRef<Door> for Store {
    fn from_ref(door: &Door) -> Self {
        door.documents.clone()
    }
}
