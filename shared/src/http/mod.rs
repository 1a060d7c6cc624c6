//! The axum side: who may call a route, and how a refusal is answered.
//!
//! - `guard` — protects routes: what is accepted, and how refused requests are answered
//! - `admit` — finds and verifies the token of a request
//! - `for_issuer` — a guard made of no more than an issuer's address
//! - [`extract`] — a protected route is one argument
//! - [`required`] — scopes and roles as types
//! - [`user`] — the user behind a token, looked up by the service
//! - [`layer`], [`closed`] — whole routers protected, and one that is closed by default
//! - [`filter`] — what such layers have in common
//! - [`location`] — where a token may be, and its names there
//! - [`check`] — a service's own check
//! - `auth_error` — the answer for each reason to refuse a caller
//! - [`render`], [`flask_jwt_extended`] — how that is answered otherwise than by our contract
//! - [`body`] — JSON bodies, read strictly
//! - [`error`] — the one error body

mod admit;
mod auth_error;
pub mod body;
mod body_token;
pub mod check;
pub mod closed;
mod csrf;
mod custom;
pub mod error;
pub mod extract;
pub mod filter;
mod find;
pub mod flask_jwt_extended;
#[cfg(feature = "jwks")]
mod for_issuer;
pub mod guard;
pub mod layer;
pub mod location;
pub mod render;
pub mod required;
mod shown;
pub mod user;

pub use body::JsonBody;
pub use body_token::BodyTokens;
pub use check::{Check, Checking};
pub use closed::ClosedRouter;
pub use error::ErrorAnswer;
pub use extract::{
    AccessToken, AnyAgeToken, AnyKindToken, FreshToken, FreshWithin, MaxAge, Scoped, TriedToken,
    UnverifiedRefreshToken, WithRole,
};
pub use flask_jwt_extended::FlaskJwtExtended;
pub use guard::Guard;
pub use layer::RequireToken;
pub use location::{Csrf, Locations, Lookup};
pub use render::{Context, Rejection, Render};
pub use required::{RequiredRole, RequiredScope, RequiredScopes};
pub use shown::Shown;
pub use user::{CurrentUser, LoadUser};

pub use crate::verify::location::{Location, UnknownLocation};
