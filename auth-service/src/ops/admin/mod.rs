//! Administration: what an operator does from the command line. These operations stand on [`AuthService`], for they use
//! several parts: an account that is disabled loses its sessions.
//!
//! - [`accounts`], [`clients`], [`invitations`] — one noun each
//! - [`audit`] — the audit table
//! - [`backup`] — copies of the database
//! - [`bootstrap`] — applies the bootstrap file
//! - [`doctor`] — finds what is wrong with the watchers; `addresses`: with the addresses of accounts
//! - [`recover`] — makes a database that lost writes safe to use
//! - [`sessions`] — ends one session, those of an account, old ones, or all
//!
//! [`AuthService`]: super::AuthService

pub mod accounts;
mod addresses;
pub mod audit;
pub mod backup;
pub mod bootstrap;
pub mod clients;
pub mod doctor;
pub mod invitations;
pub mod recover;
pub mod sessions;
