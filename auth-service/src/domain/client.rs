//! Clients: programs that request tokens, and the grants, scopes and audiences that each may have.

use std::{fmt, str::FromStr};

use countermark::verify::{Audience, Scope};
use uuid::Uuid;

use super::{account::Role, secret::SecretHash};

/// The id of a client: 1 to 64 characters of `[A-Za-z0-9._-]`. It is never a UUID, so that it can't equal an account
/// id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(String);

/// The text is not a client id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a client id: 1 to 64 letters, digits, dots, dashes and underscores, neither a UUID nor first-party"
)]
pub struct InvalidClientId(String);

impl ClientId {
    /// The id of the client of `/login`. The id is reserved; the client is public and has no secret.
    const FIRST_PARTY: &str = "first-party";

    /// The id of the client of `/login`.
    #[must_use]
    pub fn first_party() -> Self {
        Self(Self::FIRST_PARTY.to_owned())
    }

    /// An id from the database. It was checked before it was stored, or it is the reserved one.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = InvalidClientId;

    fn from_str(text: &str) -> Result<Self, InvalidClientId> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let legal = (1..=64).contains(&text.len())
            && text.bytes().all(is_plain)
            && text != Self::FIRST_PARTY
            && text.parse::<Uuid>().is_err();
        if legal { Ok(Self(text.to_owned())) } else { Err(InvalidClientId(text.to_owned())) }
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The ways in which a client can get tokens (RFC 6749 §1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// The client authenticates with its own credentials.
    ClientCredentials,
    /// The client presents a refresh token that was issued to it.
    RefreshToken,
    /// The client presents a user's token, to call another service on that user's behalf (RFC 8693).
    TokenExchange,
}

/// The text is not the name of a supported grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is none of client_credentials, refresh_token and urn:ietf:params:oauth:grant-type:token-exchange"
)]
pub struct UnknownGrant(String);

impl GrantType {
    /// The value of the parameter `grant_type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken => "refresh_token",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }
}

impl FromStr for GrantType {
    type Err = UnknownGrant;

    fn from_str(text: &str) -> Result<Self, UnknownGrant> {
        [Self::ClientCredentials, Self::RefreshToken, Self::TokenExchange]
            .into_iter()
            .find(|grant| grant.as_str() == text)
            .ok_or_else(|| UnknownGrant(text.to_owned()))
    }
}

/// A registered client.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// The id. It is the `sub` of the client's service tokens.
    pub id: ClientId,
    /// The hashes of the client's secrets. Two are valid during a rotation. None is set when the client signs
    /// assertions instead.
    pub secrets: Vec<SecretHash>,
    /// The public keys of the client's assertions (RFC 7523), as a JWK set of
    /// [`public_keys`](super::client_keys::public_keys).
    pub jwks: Option<String>,
    /// The grants that the client may use.
    pub grants: Vec<GrantType>,
    /// The scopes that the client may request.
    pub scopes: Scope,
    /// The audiences that the client may get tokens for. With the scope `introspect`, the client may introspect
    /// tokens of these audiences.
    pub audiences: Vec<Audience>,
    /// The roles in the client's service tokens.
    pub roles: Vec<Role>,
    /// `true` when the client may authenticate.
    pub is_enabled: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_can_be_taken_for_an_account_or_for_first_party() {
        for text in [
            "first-party",
            "6f1e4c1e-6f52-4d12-9a0b-2f3f7a1c9d10",
            "6f1e4c1e6f524d129a0b2f3f7a1c9d10",
            "",
            "a b",
        ] {
            assert!(text.parse::<ClientId>().is_err(), "{text:?}");
        }
        assert_eq!("billing".parse::<ClientId>().unwrap().as_str(), "billing");
    }
}
