//! Audiences: resource servers that tokens can be for, and the scopes that each owns. A scope belongs to one audience.

use shared::token::{Audience, Scope};

/// The scope that lets a client ask about tokens. It is built in, owned by the issuer, and granted only when asked for
/// by name.
pub const INTROSPECT: &str = "introspect";

/// A registered resource server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredAudience {
    /// What stands in `aud`.
    pub id: Audience,
    /// The scopes that it owns.
    pub scopes: Scope,
    /// Those of them that a login grants unasked.
    pub default_scopes: Scope,
}
