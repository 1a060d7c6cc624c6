//! What is remembered of who did what from where. Never a secret in it.

use countermark::clock::Timestamp;

use super::{
    account::AccountId,
    client::ClientId,
    session::{Device, SessionId},
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Credentials began a session.
    Login,
    /// Credentials were refused.
    LoginFailed,
    /// A spent refresh token was shown again within the grace window, and got the same successor.
    RefreshRepeated,
    /// A spent refresh token was shown again, and not by its client in time: the session was ended.
    RefreshReused,
    /// A session was ended by its user.
    Logout,
    /// All sessions of an account were ended by its user.
    LogoutAll,
    /// A password was changed by its user.
    PasswordChanged,
    /// Somebody made an account for themselves.
    Registered,
    /// An invitation was made by an operator.
    Invited,
    /// An account was made by an operator.
    AccountAdded,
    /// Accounts were brought from elsewhere.
    AccountsImported,
    /// An account was disabled.
    AccountDisabled,
    /// An account was enabled again.
    AccountEnabled,
    /// An account was deleted.
    AccountDeleted,
    /// A password was set by an operator.
    PasswordSet,
    /// Roles were set by an operator.
    RolesSet,
    /// A session was ended by an operator.
    SessionRevoked,
    /// A token was revoked by its client.
    TokenRevoked,
    /// A client was registered by an operator.
    ClientAdded,
    /// A client got another secret from an operator.
    ClientSecretRotated,
    /// A client's older secrets were taken away by an operator.
    ClientSecretRetired,
    /// A client was disabled by an operator.
    ClientDisabled,
    /// A client was enabled again by an operator.
    ClientEnabled,
    /// An audience was registered, or got other scopes, by an operator.
    AudienceRegistered,
    /// The key that refresh tokens are made with was replaced by an operator.
    RefreshKeyReplaced,
    /// A signing key was published, to sign next.
    SigningKeyPublished,
    /// A rotation of the signing key was started.
    SigningKeyWanted,
    /// Another key signs.
    SigningKeyRotated,
    /// A retired signing key went.
    SigningKeyGone,
    /// A signing key was revoked by an operator.
    SigningKeyRevoked,
    /// Everything was moved to another master key by an operator.
    KeysResealed,
}

impl Event {
    /// The word that stands in the table and in the output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::LoginFailed => "login_failed",
            Self::RefreshRepeated => "refresh_repeated",
            Self::RefreshReused => "refresh_reused",
            Self::Logout => "logout",
            Self::LogoutAll => "logout_all",
            Self::PasswordChanged => "password_changed",
            Self::Registered => "registered",
            Self::Invited => "invited",
            Self::AccountAdded => "account_added",
            Self::AccountsImported => "accounts_imported",
            Self::AccountDisabled => "account_disabled",
            Self::AccountEnabled => "account_enabled",
            Self::AccountDeleted => "account_deleted",
            Self::PasswordSet => "password_set",
            Self::RolesSet => "roles_set",
            Self::SessionRevoked => "session_revoked",
            Self::TokenRevoked => "token_revoked",
            Self::ClientAdded => "client_added",
            Self::ClientSecretRotated => "client_secret_rotated",
            Self::ClientSecretRetired => "client_secret_retired",
            Self::ClientDisabled => "client_disabled",
            Self::ClientEnabled => "client_enabled",
            Self::AudienceRegistered => "audience_registered",
            Self::RefreshKeyReplaced => "refresh_key_replaced",
            Self::SigningKeyPublished => "signing_key_published",
            Self::SigningKeyWanted => "signing_key_wanted",
            Self::SigningKeyRotated => "signing_key_rotated",
            Self::SigningKeyGone => "signing_key_gone",
            Self::SigningKeyRevoked => "signing_key_revoked",
            Self::KeysResealed => "keys_resealed",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
    /// To whose account.
    pub account: Option<AccountId>,
    /// In which session.
    pub session: Option<SessionId>,
    /// By which client.
    pub client: Option<ClientId>,
    /// From where.
    pub device: Device,
    /// What else there is to say, for people.
    pub detail: Option<String>,
}

/// An entry as it is listed.
#[derive(Clone, Debug)]
pub struct ListedEntry {
    /// Counts up.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// The word of the event.
    pub event: String,
    /// To whose account.
    pub account: Option<AccountId>,
    /// In which session.
    pub session: Option<SessionId>,
    /// By which client.
    pub client: Option<String>,
    /// From where.
    pub device: Device,
    /// What else there is to say.
    pub detail: Option<String>,
}
