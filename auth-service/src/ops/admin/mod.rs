//! Administration: what an operator does from the command line.
//!
//! - [`accounts`], [`clients`], [`invitations`] — one noun each
//! - [`audit`] — the audit table
//! - [`bootstrap`] — applies the bootstrap file

pub mod accounts;
pub mod audit;
pub mod bootstrap;
pub mod clients;
pub mod invitations;
