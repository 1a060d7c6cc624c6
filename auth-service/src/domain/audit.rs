//! The audit trail: which event happened, when, to whom, and from which device. It never holds a secret.

use countermark::clock::Timestamp;

use super::{
    account::AccountId,
    client::ClientId,
    session::{Device, SessionId},
};

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A user logged in.
    Login,
    /// A login failed.
    LoginFailed,
    /// A spent refresh token was presented again within the grace window. The same successor was returned.
    RefreshRepeated,
    /// A spent refresh token was presented again outside the grace window, or from another device. The session was
    /// ended.
    RefreshReused,
    /// A user ended one session.
    Logout,
    /// A user ended all sessions of the account.
    LogoutAll,
    /// A user changed the password.
    PasswordChanged,
    /// A user registered an account.
    Registered,
    /// An operator created an invitation.
    Invited,
    /// An operator added an account.
    AccountAdded,
    /// An operator imported accounts.
    AccountsImported,
    /// An operator disabled an account.
    AccountDisabled,
    /// An operator enabled an account.
    AccountEnabled,
    /// An operator deleted an account.
    AccountDeleted,
    /// An operator set a password.
    PasswordSet,
    /// An operator set an account's roles.
    RolesSet,
    /// An operator ended a session.
    SessionRevoked,
    /// A client revoked a token.
    TokenRevoked,
    /// An operator registered a client.
    ClientAdded,
    /// An operator added a new secret to a client.
    ClientSecretRotated,
    /// An operator removed a client's older secrets.
    ClientSecretRetired,
    /// An operator disabled a client.
    ClientDisabled,
    /// An operator enabled a client.
    ClientEnabled,
    /// An operator registered an audience or changed its scopes.
    AudienceRegistered,
    /// An operator added a new refresh key.
    RefreshKeyReplaced,
    /// The next signing key was published.
    SigningKeyPublished,
    /// An operator or the key's age started a rotation of the signing key.
    SigningKeyWanted,
    /// The next signing key became active.
    SigningKeyRotated,
    /// A retired signing key was removed.
    SigningKeyGone,
    /// An operator revoked a signing key.
    SigningKeyRevoked,
    /// An operator resealed all keys with another master key.
    KeysResealed,
}

impl Event {
    /// The event's name in the table and in output.
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

/// An entry of the audit trail.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// The instant of the event.
    pub at: Timestamp,
    /// The kind of event.
    pub event: Event,
    /// The account that the event concerns.
    pub account: Option<AccountId>,
    /// The session that the event concerns.
    pub session: Option<SessionId>,
    /// The client that the event concerns.
    pub client: Option<ClientId>,
    /// The device that the request came from.
    pub device: Device,
    /// Further details, for people.
    pub detail: Option<String>,
}

/// A stored entry, as it is listed.
#[derive(Clone, Debug)]
pub struct ListedEntry {
    /// The id of the entry. Ids count up.
    pub id: i64,
    /// The instant of the event.
    pub at: Timestamp,
    /// The name of the event.
    pub event: String,
    /// The account that the event concerns.
    pub account: Option<AccountId>,
    /// The session that the event concerns.
    pub session: Option<SessionId>,
    /// The client that the event concerns.
    pub client: Option<String>,
    /// The device that the request came from.
    pub device: Device,
    /// Further details, for people.
    pub detail: Option<String>,
}
