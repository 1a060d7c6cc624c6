//! The tonic side: which callers may use a service. The decisions are the same as over HTTP.
//!
//! | file | holds |
//! |---|---|
//! | `guard` | [`Guard`]: a layer, and an interceptor, that passes calls with a verified token |
//! | `for_issuer` | guards for an issuer that is followed in the background (feature `jwks`) |
//! | `status` | the status for each reason to refuse a caller |

#[cfg(feature = "jwks")]
mod for_issuer;
mod guard;
mod status;

pub use guard::{Guard, Guarded, token, with_scope};

#[cfg(test)]
mod tests;
