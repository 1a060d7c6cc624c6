//! Sessions of accounts: begun by a login, continued by a refresh, and ended.
//!
//! - [`register`] — accounts that people make for themselves
//! - [`login`], [`refresh`], [`logout`] — a session's life
//! - [`password`] — its owner changes the password
//! - [`list`] — an account's own sessions
//! - [`me`] — the account that a token belongs to
//! - [`limits`] — how often a login may be tried
//! - [`hashing`] — the threads that hash passwords

pub mod hashing;
pub mod limits;
pub mod list;
pub mod login;
pub mod logout;
pub mod me;
pub mod password;
pub mod refresh;
pub mod register;
