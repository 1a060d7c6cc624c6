//! The rules: sync and pure. Nothing here knows a database, a network or a clock; time and randomness are arguments.
//!
//! - [`account`] — who can log in
//! - [`password`] — what proves it, and its hash
//! - [`session`] — what a login begins, and what a refresh token may do in it
//! - [`refresh_token`] — how that token is laid out
//! - [`audit`] — what is remembered of who did what
//! - [`audience`] — resource servers and the scopes that they own
//! - [`client`] — programs that call on their own account
//! - [`secret`] — what is made up and handed out once, and its hash
//! - [`invitation`] — who may make an account while registration is by invitation
//! - [`registry`] — audiences and clients together, in memory
//! - [`granting`] — what a token is granted, out of what it could be at most
//! - [`assertion`] — what a client signs to say who it is (RFC 7523)
//! - [`signing_key`] — the life of a key that tokens are signed with
//! - [`watcher`] — who watches revocations, and what has reached whom
//! - [`diagnosis`] — what is wrong with that
//! - [`login_limits`] — how often a login may be tried

pub mod account;
pub mod assertion;
pub mod audience;
pub mod audit;
pub mod client;
pub mod diagnosis;
pub mod granting;
pub mod invitation;
pub mod login_limits;
pub mod password;
pub mod refresh_token;
pub mod registry;
pub mod secret;
pub mod session;
pub mod signing_key;
pub mod watcher;
