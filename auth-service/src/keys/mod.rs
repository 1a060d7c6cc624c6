//! The only room that sees a private key. Whatever leaves it is public, sealed, or a signature.
//!
//! - [`master_key`] — the key that everything else is sealed with, from its file
//! - [`seal`] — sealing at rest
//! - [`signing_key`] — the RSA key that access tokens are signed with, parsed once
//! - [`ring`] — the signing keys of this issuer, and their public half as published
//! - [`refresh_keys`] — what refresh tokens are derived from and checked with

use std::{fmt, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;

pub mod master_key;
pub mod refresh_keys;
pub mod ring;
pub mod seal;
pub mod signing_key;

/// Everything secret that the service works with.
pub struct Keys {
    /// What access tokens are signed and verified with.
    pub ring: Arc<ring::KeyRing>,
    /// What refresh tokens are derived from and checked with.
    pub refresh: ArcSwap<refresh_keys::RefreshKeys>,
    /// What seals all of it at rest.
    pub sealing: ArcSwap<Sealing>,
    /// Where the master key is; another one may come there while the service runs.
    pub master_key_file: PathBuf,
}

/// What seals all keys at rest.
#[derive(Debug)]
pub struct Sealing {
    /// Seals and opens with the master key.
    pub sealer: seal::Sealer,
    /// How manieth master key it is.
    pub epoch: i64,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({:?})", self.ring)
    }
}
