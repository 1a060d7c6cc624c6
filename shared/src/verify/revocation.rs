//! One entry of the revocation log: which access tokens it revokes.

use crate::verify::{Opaque, claims::NumericDate};

/// Which access tokens are revoked. A *before* entry is of tokens minted up to and at its instant (`iat` ≤ instant); the
/// issuer mints none that it would match from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The one of that `jti`.
    Token(Opaque),
    /// Those of that session (`sid`).
    Session(Opaque),
    /// Those that the client asked for (`client_id`), up to the instant.
    Client(Opaque, NumericDate),
    /// Those of the account (`sub`), up to the instant; its sessions go on.
    Account(Opaque, NumericDate),
    /// Those signed with that key (`kid`).
    Key(Opaque),
    /// All of them, up to the instant.
    Everything(NumericDate),
}

/// An entry of the revocation log, as verifiers hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which tokens it revokes.
    pub revocation: Revocation,
    /// When no living token can match it any more by the issuer's clock; `None`: never. A verifier adds its own leeway.
    pub expires_at: Option<NumericDate>,
}

impl From<Revocation> for Entry {
    /// For ever.
    fn from(revocation: Revocation) -> Self {
        Self { revocation, expires_at: None }
    }
}
