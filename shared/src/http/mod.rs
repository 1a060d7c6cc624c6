//! The axum side: which callers may use a route, and how refused requests are answered.
//!
//! | file | holds |
//! |---|---|
//! | `guard` | [`Guard`]: protects routes |
//! | `for_issuer` | guards for an issuer that is followed in the background (feature `jwks`) |
//! | `admit` | finds and verifies the token of a request |
//! | `extract` | extractors: a protected route is one argument |
//! | `required` | scopes and roles as types |
//! | `user` | the user behind a token, loaded by the service |
//! | `layer`, `closed` | whole routers protected, and a router that is closed by default |
//! | `filter` | the common part of these layers |
//! | `location`, `find` | where a token may be, and how it is found there |
//! | `cookie` | the one reader of cookies |
//! | `csrf` | the proof that a page of the service sent a request with a cookie |
//! | `websocket` | the same proof for a WebSocket |
//! | `body`, `body_token` | JSON bodies, read strictly; tokens in bodies |
//! | `check` | a service's own check |
//! | `shown`, `custom` | how a token was sent; a service's own claims |
//! | `auth_error`, `error` | the answer for each reason to refuse a caller; the one error body |
//! | `render`, `flask_jwt_extended` | answers of another shape |

mod admit;
mod auth_error;
mod body;
mod body_token;
mod check;
mod closed;
mod cookie;
mod csrf;
mod custom;
mod error;
mod extract;
mod filter;
mod find;
mod flask_jwt_extended;
#[cfg(feature = "jwks")]
mod for_issuer;
mod from_body;
mod guard;
mod layer;
mod location;
mod render;
mod required;
mod shown;
mod user;
mod websocket;

pub use body::{JsonBody, MAX_BODY_BYTES};
pub use body_token::BodyTokens;
pub use check::{Check, Checking};
pub use closed::ClosedRouter;
pub use cookie::{cookie, cookies};
pub use error::ErrorAnswer;
pub use extract::{
    AccessToken, AnyAgeToken, AnyKindToken, FreshToken, FreshWithin, MaxAge, Scoped, TriedToken,
    UnverifiedRefreshToken, WithRole,
};
pub use filter::Filtered;
pub use find::bearer_token;
pub use flask_jwt_extended::FlaskJwtExtended;
pub use guard::Guard;
pub use layer::RequireToken;
pub use location::{ACCESS_COOKIES, CSRF_HEADER, Csrf, Locations, Lookup};
pub use render::{Context, Rejection, Render};
pub use required::{RequiredRole, RequiredScope, RequiredScopes};
pub use shown::Shown;
pub use user::{CurrentUser, LoadUser};

pub use crate::verify::location::{Location, UnknownLocation};
