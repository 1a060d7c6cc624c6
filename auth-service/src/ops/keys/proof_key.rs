//! The key that proves positions of the revocation log: read, or made at the first start.

use countermark::random::Random;
use zeroize::Zeroizing;

use crate::{
    keys::{Sealing, proof_key::ProofKey},
    ops::error::KeysError,
    store::Store,
};

/// The name that the key is sealed under.
pub(in crate::ops) const NAME: &str = "position proofs";

/// Reads the key of the database. At the first start, it is made and stored.
pub async fn read_or_make(
    store: &Store,
    Sealing { sealer, epoch }: &Sealing,
    random: &dyn Random,
) -> Result<ProofKey, KeysError> {
    let sealed = if let Some(sealed) = store.proof_key()? {
        sealed
    } else {
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(random.bytes()?);
        store.add_proof_key(sealer.seal(NAME, &*bytes, random)?, *epoch).await?
    };
    Ok(ProofKey::new(&sealer.open(NAME, &sealed)?))
}
