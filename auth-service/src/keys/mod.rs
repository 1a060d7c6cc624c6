//! The only room that sees a private key. Whatever leaves it is public, sealed, or a signature.
//!
//! - [`master_key`] — the key that everything else is sealed with, from its file
//! - [`seal`] — sealing at rest
//! - [`signing_key`] — the RSA key that access tokens are signed with, parsed once
//! - [`ring`] — the signing keys of this issuer, and their public half as published
//! - [`refresh_keys`] — what refresh tokens are derived from and checked with

pub mod master_key;
pub mod refresh_keys;
pub mod ring;
pub mod seal;
pub mod signing_key;
