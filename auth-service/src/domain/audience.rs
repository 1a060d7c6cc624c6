//! Audiences: resource servers that tokens can be for, and the scopes that each owns. A scope belongs to one audience.

use countermark::verify::{Audience, Scope};

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

/// What no audience can be registered as.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAudience {
    /// Too short or too long.
    #[error("id must have 1 to 255 bytes")]
    Id,
    /// A scope of the issuer's own.
    #[error("the scope {INTROSPECT} is built in and belongs to the issuer")]
    BuiltIn,
    /// A default that is not owned.
    #[error("{0} stands in default_scopes but not in scopes")]
    Foreign(String),
}

impl RegisteredAudience {
    /// An audience that owns `scopes`.
    ///
    /// # Errors
    /// [`InvalidAudience`] says what it can't be.
    pub fn new(id: Audience, scopes: Scope, default_scopes: Scope) -> Result<Self, InvalidAudience> {
        if !(1..=255).contains(&id.as_str().len()) {
            return Err(InvalidAudience::Id);
        }
        if scopes.contains(INTROSPECT) {
            return Err(InvalidAudience::BuiltIn);
        }
        if let Some(foreign) = default_scopes.iter().find(|word| !scopes.contains(word)) {
            return Err(InvalidAudience::Foreign(foreign.to_owned()));
        }
        Ok(Self { id, scopes, default_scopes })
    }
}
