//! One entry of the revocation log, and the access tokens that it revokes.

use crate::verify::{Kid, Opaque, claims::NumericDate};

/// The access tokens that an entry revokes. An entry with an instant matches tokens minted at or before it (`iat` ≤
/// instant). The issuer mints no more tokens that would match.
///
/// It is exhaustive, so that the compiler finds every mapping that lacks a new kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The token with this `jti`.
    Token(Opaque),
    /// The tokens of this session (`sid`).
    Session(Opaque),
    /// The tokens of this client (`client_id`), up to the instant.
    Client(Opaque, NumericDate),
    /// The tokens of this account (`sub`), up to the instant. The account's sessions continue.
    Account(Opaque, NumericDate),
    /// The tokens signed with this key (`kid`).
    Key(Kid),
    /// All tokens, up to the instant.
    Everything(NumericDate),
}

/// An entry of the revocation log, as verifiers store it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The tokens that the entry revokes.
    pub revocation: Revocation,
    /// Instant after which no living token can match, by the issuer's clock. `None` means never. A verifier adds its
    /// own leeway.
    pub expires_at: Option<NumericDate>,
}

/// An entry that gives a fingerprint in place of its subject.
#[cfg(feature = "watch")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnnamedEntry {
    /// The fingerprint of the subject.
    pub(crate) fingerprint: [u8; 16],
    /// Tokens minted at or before this instant are revoked. `None`: all of them.
    pub(crate) up_to: Option<NumericDate>,
    /// As in [`Entry`].
    pub(crate) expires_at: Option<NumericDate>,
}

impl From<Revocation> for Entry {
    /// Makes an entry that never expires.
    fn from(revocation: Revocation) -> Self {
        Self { revocation, expires_at: None }
    }
}
