//! Accounts: users who can log in, with an email address, a password hash and roles.

use std::{fmt, str::FromStr};

use countermark::{
    clock::Timestamp,
    random::{Random, Unavailable},
};
use uuid::Uuid;

use super::password::PasswordHash;

pub use super::email::{Email, InvalidEmail};

/// The stable id of an account. It is the `sub` of the account's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AccountId(Uuid);

impl AccountId {
    /// Generates an id.
    pub fn random(random: &dyn Random) -> Result<Self, Unavailable> {
        Ok(Self(uuid::Builder::from_random_bytes(random.bytes()?).into_uuid()))
    }

    /// An id from its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes of the id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl FromStr for AccountId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A role of an account or a client: one word of `[A-Za-z0-9._:-]`, 1 to 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Role(String);

/// The text is not a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role: 1 to 64 letters, digits, dots, colons, dashes and underscores")]
pub struct InvalidRole(String);

impl Role {
    /// The role as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRole(text.to_owned()))
        }
    }
}

/// A user who can log in.
#[derive(Clone, Debug)]
pub struct Account {
    /// The stable id.
    pub id: AccountId,
    /// The email address. Each address belongs to at most one account.
    pub email: Email,
    /// The hash that a login checks the password against.
    pub password_hash: PasswordHash,
    /// The roles that the account's tokens carry.
    pub roles: Vec<Role>,
    /// The instant of creation.
    pub created_at: Timestamp,
    /// The instant at which the account was disabled. `None` while it is enabled.
    pub disabled_at: Option<Timestamp>,
}

impl Account {
    /// `true` when the account may log in and refresh.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.disabled_at.is_none()
    }
}
