//! The audit trail: which event happened, when, to whom, and from which device. It never holds a secret.

use countermark::{clock::Timestamp, verify::Tag};

use super::{
    account::AccountId,
    client::ClientId,
    session::{Device, SessionId},
};

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A user logged in.
    Login,
    /// A login failed.
    LoginFailed,
    /// A client was refused: its secret or assertion was wrong, it is disabled, or nobody knows it. Counted for a minute.
    ClientRefused,
    /// A limit on logins, refreshes or requests for tokens was reached. Counted for a minute.
    LimitReached,
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
    /// A session was ended because its account logged in at more places than it may.
    SessionDisplaced,
    /// An operator ended a session.
    SessionRevoked,
    /// An operator ended the sessions of an account.
    AccountSessionsRevoked,
    /// An operator ended every session.
    AllSessionsRevoked,
    /// An operator ended the sessions that began before an instant.
    OldSessionsRevoked,
    /// A client revoked a token.
    TokenRevoked,
    /// An operator registered a client.
    ClientAdded,
    /// An operator gave a client more scopes.
    ClientScopesAdded,
    /// An operator added a new secret to a client.
    ClientSecretRotated,
    /// An operator removed a client's older secrets.
    ClientSecretRetired,
    /// An operator disabled a client.
    ClientDisabled,
    /// An operator enabled a client.
    ClientEnabled,
    /// An operator revoked the tokens of a client.
    ClientTokensRevoked,
    /// An operator removed a client.
    ClientRemoved,
    /// An operator registered an audience or changed its scopes.
    AudienceRegistered,
    /// An operator removed an audience.
    AudienceRemoved,
    /// An operator added a new refresh key.
    RefreshKeyReplaced,
    /// An operator revoked all refresh keys.
    RefreshKeysRevoked,
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
    /// An operator recovered a database that had lost writes.
    Recovered,
}

impl Event {
    /// Every kind of event.
    pub const ALL: [Self; 43] = [
        Self::Login,
        Self::LoginFailed,
        Self::ClientRefused,
        Self::LimitReached,
        Self::RefreshRepeated,
        Self::RefreshReused,
        Self::Logout,
        Self::LogoutAll,
        Self::PasswordChanged,
        Self::Registered,
        Self::Invited,
        Self::AccountAdded,
        Self::AccountsImported,
        Self::AccountDisabled,
        Self::AccountEnabled,
        Self::AccountDeleted,
        Self::PasswordSet,
        Self::RolesSet,
        Self::SessionDisplaced,
        Self::SessionRevoked,
        Self::AccountSessionsRevoked,
        Self::AllSessionsRevoked,
        Self::OldSessionsRevoked,
        Self::TokenRevoked,
        Self::ClientAdded,
        Self::ClientScopesAdded,
        Self::ClientSecretRotated,
        Self::ClientSecretRetired,
        Self::ClientDisabled,
        Self::ClientEnabled,
        Self::ClientTokensRevoked,
        Self::ClientRemoved,
        Self::AudienceRegistered,
        Self::AudienceRemoved,
        Self::RefreshKeyReplaced,
        Self::RefreshKeysRevoked,
        Self::SigningKeyPublished,
        Self::SigningKeyWanted,
        Self::SigningKeyRotated,
        Self::SigningKeyGone,
        Self::SigningKeyRevoked,
        Self::KeysResealed,
        Self::Recovered,
    ];

    /// The event's name in the table and in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::LoginFailed => "login_failed",
            Self::ClientRefused => "client_refused",
            Self::LimitReached => "limit_reached",
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
            Self::SessionDisplaced => "session_displaced",
            Self::SessionRevoked => "session_revoked",
            Self::AccountSessionsRevoked => "account_sessions_revoked",
            Self::AllSessionsRevoked => "all_sessions_revoked",
            Self::OldSessionsRevoked => "old_sessions_revoked",
            Self::TokenRevoked => "token_revoked",
            Self::ClientAdded => "client_added",
            Self::ClientScopesAdded => "client_scopes_added",
            Self::ClientSecretRotated => "client_secret_rotated",
            Self::ClientSecretRetired => "client_secret_retired",
            Self::ClientDisabled => "client_disabled",
            Self::ClientEnabled => "client_enabled",
            Self::ClientTokensRevoked => "client_tokens_revoked",
            Self::ClientRemoved => "client_removed",
            Self::AudienceRegistered => "audience_registered",
            Self::AudienceRemoved => "audience_removed",
            Self::RefreshKeyReplaced => "refresh_key_replaced",
            Self::RefreshKeysRevoked => "refresh_keys_revoked",
            Self::SigningKeyPublished => "signing_key_published",
            Self::SigningKeyWanted => "signing_key_wanted",
            Self::SigningKeyRotated => "signing_key_rotated",
            Self::SigningKeyGone => "signing_key_gone",
            Self::SigningKeyRevoked => "signing_key_revoked",
            Self::KeysResealed => "keys_resealed",
            Self::Recovered => "recovered",
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

/// Which entries are listed: those that fit each member that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Not before this instant.
    pub since: Option<Timestamp>,
    /// Not after this instant.
    pub until: Option<Timestamp>,
    /// About this account.
    pub account: Option<AccountId>,
    /// Of this kind: the event's name.
    pub event: Option<String>,
    /// About this client.
    pub client: Option<String>,
}

/// The link of an entry in the [chain](super::audit_chain).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditLink {
    /// The tag of the entry before. [`Tag::UNKNOWN`] where the chain begins.
    pub previous: Tag,
    /// Random bytes.
    pub random: [u8; 8],
    /// The tag of this entry.
    pub tag: Tag,
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
    /// The account's address, while there is such an account.
    pub email: Option<String>,
    /// The session that the event concerns.
    pub session: Option<SessionId>,
    /// The client that the event concerns.
    pub client: Option<String>,
    /// The device that the request came from.
    pub device: Device,
    /// Further details, for people.
    pub detail: Option<String>,
    /// The entry's link in the chain. `None` for an entry from before there was one.
    pub link: Option<AuditLink>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_event_is_listed_once_by_a_name_of_its_own() {
        let names: BTreeSet<_> = Event::ALL.iter().map(|event| event.as_str()).collect();
        assert_eq!(names.len(), Event::ALL.len());
        assert_eq!(Event::ALL.map(|event| event as usize), std::array::from_fn(|at| at));
    }
}
