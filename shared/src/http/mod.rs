//! The axum side: who may call a route, and how a refusal is answered.
//!
//! - [`guard`] — finds the token in a request and has it verified
//! - [`extract`] — a protected route is one argument
//! - [`location`] — where a token may be
//! - [`refusal`] — why a caller is turned away, and what it is told
//! - [`body`] — JSON bodies, read strictly
//! - [`error`] — the one error body

pub mod body;
pub mod error;
pub mod extract;
pub mod guard;
pub mod location;
pub mod refusal;

pub use body::JsonBody;
pub use error::ErrorAnswer;
pub use extract::{AccessToken, AnyAgeToken, FreshToken, RequiredRole, RequiredScope, Scoped, WithRole};
pub use guard::Guard;
pub use location::Location;
pub use refusal::Refusal;
