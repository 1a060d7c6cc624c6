//! Administration: what an operator does from the command line. These operations stand on [`AuthService`], for they use
//! several parts: an account that is disabled loses its sessions.
//!
//! - [`accounts`], [`clients`], [`invitations`] — one noun each
//! - [`audit`] — the audit table
//! - [`bootstrap`] — applies the bootstrap file
//! - [`doctor`] — finds what is wrong with the watchers
//!
//! [`AuthService`]: super::AuthService

pub mod accounts;
pub mod audit;
pub mod bootstrap;
pub mod clients;
pub mod doctor;
pub mod invitations;
