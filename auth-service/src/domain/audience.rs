//! Audiences: the resource servers that tokens are issued for, and the scopes that each owns. A scope belongs to one
//! audience.

use countermark::verify::{Audience, Scope};

/// The scope that permits a client to introspect tokens. It is built in, belongs to the issuer, and is granted only
/// when a request names it.
pub const INTROSPECT: &str = "introspect";

/// The scope that permits a client to watch the revocations. It is built in like [`INTROSPECT`].
pub const WATCH: &str = "watch";

/// The scopes that are built in.
pub const BUILT_IN: [&str; 2] = [INTROSPECT, WATCH];

/// Whether a scope is built in: it belongs to the issuer, and is granted only when a request names it.
#[must_use]
pub fn is_built_in(scope: &str) -> bool {
    BUILT_IN.contains(&scope)
}

/// Whether the text can be an audience's id: 1 to 255 bytes without control characters.
#[must_use]
pub fn is_id(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.contains(char::is_control)
}

/// A registered resource server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredAudience {
    /// The value of `aud`.
    pub id: Audience,
    /// The scopes that the audience owns.
    pub scopes: Scope,
    /// The scopes that a login grants by default.
    pub default_scopes: Scope,
}

/// The reason why an audience can't be registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAudience {
    /// The id is empty, longer than 255 bytes, or has control characters.
    #[error("id must have 1 to 255 bytes, and no control characters")]
    Id,
    /// A scope is built in and belongs to the issuer.
    #[error("the scope {0} is built in and belongs to the issuer")]
    BuiltIn(String),
    /// A default scope is not among the audience's scopes.
    #[error("{0} stands in default_scopes but not in scopes")]
    Foreign(String),
}

impl RegisteredAudience {
    /// An audience that owns `scopes`.
    ///
    /// # Errors
    /// [`InvalidAudience`] when the id or a scope is not permitted.
    pub fn new(id: Audience, scopes: Scope, default_scopes: Scope) -> Result<Self, InvalidAudience> {
        if !is_id(id.as_str()) {
            return Err(InvalidAudience::Id);
        }
        if let Some(built_in) = scopes.iter().find(|scope| is_built_in(scope)) {
            return Err(InvalidAudience::BuiltIn(built_in.to_owned()));
        }
        if let Some(foreign) = default_scopes.iter().find(|word| !scopes.contains(word)) {
            return Err(InvalidAudience::Foreign(foreign.to_owned()));
        }
        Ok(Self { id, scopes, default_scopes })
    }
}
