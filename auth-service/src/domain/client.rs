//! Clients: programs that call on their own account, and what each may have.

use std::{fmt, str::FromStr};

use countermark::verify::{Audience, Scope};
use uuid::Uuid;

use super::{account::Role, secret::SecretHash};

/// A client's id: 1 to 64 of `[A-Za-z0-9._-]`, and never a UUID, so that no client is taken for an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(String);

/// A text that is no client's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a client id: 1 to 64 letters, digits, dots, dashes and underscores, neither a UUID nor first-party"
)]
pub struct InvalidClientId(String);

impl ClientId {
    /// The client of `/login`: reserved, public, without a secret.
    const FIRST_PARTY: &str = "first-party";

    /// The client of `/login`.
    #[must_use]
    pub fn first_party() -> Self {
        Self(Self::FIRST_PARTY.to_owned())
    }

    /// The id as it was stored: either the reserved one, or one that was checked before it was stored.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The id.
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

/// How a client may get tokens (RFC 6749 §1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantType {
    /// With its own credentials.
    ClientCredentials,
    /// With a refresh token that was issued to it.
    RefreshToken,
    /// With a user's token, to call on that user's behalf (RFC 8693).
    TokenExchange,
}

/// No grant has that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is none of client_credentials, refresh_token and urn:ietf:params:oauth:grant-type:token-exchange"
)]
pub struct UnknownGrant(String);

impl GrantType {
    /// The value of `grant_type`.
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

/// A registered program.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// Its id: the `sub` of its service tokens.
    pub id: ClientId,
    /// The hashes of its secrets: two may be valid while one replaces the other, none when it signs instead.
    pub secrets: Vec<SecretHash>,
    /// The public keys that it signs its assertions with (RFC 7523), as a JWK set.
    pub jwks: Option<String>,
    /// How it may get tokens.
    pub grants: Vec<GrantType>,
    /// The scopes that it may ask for.
    pub scopes: Scope,
    /// The audiences that it may get tokens for and, with the scope `introspect`, whose tokens it may ask about.
    pub audiences: Vec<Audience>,
    /// What it is, in its service tokens.
    pub roles: Vec<Role>,
    /// Whether it may call at all.
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
