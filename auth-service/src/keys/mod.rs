//! The only module that sees a private key. It gives out only public keys, sealed keys and signatures.
//!
//! - [`master_key`] — the key that seals all others, and its file
//! - [`seal`] — encryption at rest
//! - [`signing_key`] — the RSA key that signs access tokens, parsed once
//! - [`ring`] — the issuer's signing keys, and the JWK set that it publishes
//! - [`refresh_keys`] — the MAC keys of refresh tokens
//! - [`proof_key`] — the MAC key of proven positions of the revocation log

use std::{fmt, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;

use crate::domain::sealing::MasterKeyEpoch;

pub mod master_key;
pub mod proof_key;
pub mod refresh_keys;
pub mod ring;
pub mod seal;
pub mod signing_key;

/// All keys of the service.
pub struct KeyMaterial {
    /// The signing keys of access tokens.
    pub ring: Arc<ring::KeyRing>,
    /// The MAC keys of refresh tokens.
    pub refresh: ArcSwap<refresh_keys::RefreshKeys>,
    /// The MAC key of proven positions.
    pub positions: proof_key::ProofKey,
    /// The sealer for keys at rest.
    pub sealing: ArcSwap<Sealing>,
    /// The file of the master key. Its content may change while the service runs.
    pub master_key_file: PathBuf,
}

/// The sealer of the current master key.
#[derive(Debug)]
pub struct Sealing {
    /// Seals and opens with the master key.
    pub sealer: seal::Sealer,
    /// The epoch of the master key: goes up by one at each reseal.
    pub epoch: MasterKeyEpoch,
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyMaterial({:?})", self.ring)
    }
}
