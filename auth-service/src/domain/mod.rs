//! The rules: synchronous and pure. This module uses no database, no network and no clock. Time and randomness are
//! arguments.
//!
//! - [`account`] — users who can log in
//! - [`email`] — their addresses, in one canonical form
//! - [`password`] — passwords and their hashes
//! - [`session`] — sessions, and the decision on each refresh
//! - [`refresh_token`] — the byte layout of refresh tokens
//! - [`audit`] — entries of the audit trail
//! - [`audit_chain`] — whether the trail is as it was written
//! - [`chain`] — tags that depend on all that was before
//! - [`audience`] — resource servers and the scopes that they own
//! - [`client`] — programs that request tokens
//! - [`client_keys`] — the public keys of a program that signs assertions
//! - [`sealing`] — which master key seals the other keys
//! - [`secret`] — generated secrets and their hashes
//! - [`invitation`] — invitations to register
//! - [`registry`] — all audiences and clients, in memory
//! - [`granting`] — the scopes and audiences of a new token
//! - [`assertion`] — client authentication by signed assertion (RFC 7523)
//! - [`signing_key`] — the states of a signing key
//! - [`went_back`] — a database that lost writes
//! - [`watcher`] — watchers of revocations, and what each has applied
//! - [`diagnosis`] — faults of watchers
//! - [`login_limits`] — limits on login attempts
//! - [`token_limits`] — limits on requests for tokens, and on revocations
//! - [`log_tag`] — tags of the revocation log
//! - [`mark`] — how far the database got, outside of it

pub mod account;
pub mod assertion;
pub mod audience;
pub mod audit;
pub mod audit_chain;
pub mod chain;
pub mod client;
pub mod client_keys;
pub mod diagnosis;
pub mod email;
pub mod granting;
pub mod invitation;
pub mod log_tag;
pub mod login_limits;
pub mod mark;
pub mod password;
pub mod refresh_token;
pub mod registry;
pub mod sealing;
pub mod secret;
pub mod session;
pub mod session_place;
pub mod signing_key;
pub mod token_limits;
pub mod watcher;
pub mod went_back;
