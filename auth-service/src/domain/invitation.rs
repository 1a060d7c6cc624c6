//! Invitations: who may make an account while registration is by invitation. Each works once, and expires.

use countermark::clock::Timestamp;

use super::account::{Email, Role};

/// What the code of an invitation begins with.
pub const PREFIX: &str = "inv_";

/// An invitation that was not used yet. Its code is a [`Secret`](super::secret::Secret).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The one address that it is for; `None` when it is for whoever holds it.
    pub email: Option<Email>,
    /// What the account will be.
    pub roles: Vec<Role>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it doesn't work any more.
    pub expires_at: Timestamp,
}

impl Invitation {
    /// Whether an account with that address may be made with it now.
    #[must_use]
    pub fn is_for(&self, email: &Email, now: Timestamp) -> bool {
        now < self.expires_at && self.email.as_ref().is_none_or(|invited| invited == email)
    }
}
