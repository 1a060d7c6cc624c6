//! Invitations to register an account. Each works once, and expires.

use countermark::clock::Timestamp;

use super::account::{Email, Role};

/// The prefix of each invitation code.
pub const PREFIX: &str = "inv_";

/// An unused invitation. Its code is a [`Secret`](super::secret::Secret).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The email address that the invitation is for. `None`: anybody who has the code can use it.
    pub email: Option<Email>,
    /// The roles of the new account.
    pub roles: Vec<Role>,
    /// The instant of creation.
    pub created_at: Timestamp,
    /// The instant from which the invitation no longer works.
    pub expires_at: Timestamp,
}

impl Invitation {
    /// `true` when the invitation permits an account with this address at `now`.
    #[must_use]
    pub fn is_for(&self, email: &Email, now: Timestamp) -> bool {
        now < self.expires_at && self.email.as_ref().is_none_or(|invited| invited.is_same(email))
    }
}
