//! Accounts: who can log in, by which address, with which roles.

use std::{fmt, str::FromStr};

use countermark::{
    clock::Timestamp,
    random::{Random, Unavailable},
};
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

use super::password::PasswordHash;

/// A stable id: the `sub` of the account's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AccountId(Uuid);

impl AccountId {
    /// A new id.
    ///
    /// # Errors
    /// [`Unavailable`] when there is no randomness to be had.
    pub fn random(random: &dyn Random) -> Result<Self, Unavailable> {
        Ok(Self(uuid::Builder::from_random_bytes(random.bytes()?).into_uuid()))
    }

    /// The id of those 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// Its 16 bytes.
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

/// An email address in its canonical form: trimmed, NFKC, lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Email(String);

/// A text that is no email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The email address must look like name@example.com and have at most 254 bytes")]
pub struct InvalidEmail;

impl Email {
    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        // A name grows under NFKC, but not without bound; what is far too long isn't worth the work.
        if text.len() > 1_024 {
            return Err(InvalidEmail);
        }
        let canonical: String = text.trim().nfkc().collect::<String>().to_lowercase();
        // Lower case can undo NFKC (U+0130), so the form is settled last.
        let canonical: String = canonical.nfkc().collect();
        let (name, domain) = canonical.split_once('@').ok_or(InvalidEmail)?;
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '@';
        let legal = canonical.len() <= 254
            && (1..=64).contains(&name.len())
            && !domain.is_empty()
            && name.chars().all(is_plain)
            && domain.chars().all(is_plain);
        if legal { Ok(Self(canonical)) } else { Err(InvalidEmail) }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an account or a client is: one word of `[A-Za-z0-9._:-]`, at most 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Role(String);

/// A text that is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role: 1 to 64 letters, digits, dots, colons, dashes and underscores")]
pub struct InvalidRole(String);

impl Role {
    /// The word.
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

/// Somebody who can log in.
#[derive(Clone, Debug)]
pub struct Account {
    /// Stable.
    pub id: AccountId,
    /// Unique among accounts.
    pub email: Email,
    /// What the password is checked against.
    pub password_hash: PasswordHash,
    /// What the account is.
    pub roles: Vec<Role>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it can't log in; `None` when it can.
    pub disabled_at: Option<Timestamp>,
}

impl Account {
    /// Whether it may log in and refresh.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.disabled_at.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_one_form() {
        for text in ["test@example.com", "  Test@Example.COM\n", "ｔest@example.com"] {
            assert_eq!(text.parse::<Email>().unwrap().as_str(), "test@example.com");
        }
    }

    #[test]
    fn the_canonical_form_is_its_own_canonical_form() {
        for text in ["İ@example.com", "ﬁ@example.com", "Å@example.com"] {
            let once: Email = text.parse().unwrap();
            assert_eq!(once.as_str().parse::<Email>().unwrap(), once);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\u{7}c", &"a".repeat(300)] {
            assert_eq!(text.parse::<Email>(), Err(InvalidEmail), "{text:?}");
        }
    }
}
