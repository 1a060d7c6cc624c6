//! The MAC key that proves positions of the revocation log. A verifier shows a proof back. So the issuer learns that it was at
//! a position which its database does not have.

use std::fmt;

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign, verify};
use countermark::verify::{Position, ProvenPosition};

/// Proves positions.
#[derive(Clone)]
pub struct ProofKey(Key);

impl ProofKey {
    /// A key from its bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(Key::new(HMAC_SHA256, bytes))
    }

    /// The proof of `position`.
    #[must_use]
    pub fn prove(&self, position: &Position) -> [u8; 32] {
        sign(&self.0, &encoded(position)).as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// Whether this key made the proof.
    #[must_use]
    pub fn is_authentic(&self, proven: &ProvenPosition) -> bool {
        verify(&self.0, &encoded(&proven.position), &proven.proof).is_ok()
    }
}

fn encoded(position: &Position) -> Vec<u8> {
    [&position.log_id.bytes()[..], &position.seq.number().to_be_bytes(), &position.tag.bytes()].concat()
}

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use countermark::verify::{LogId, Seq, Tag};

    use super::*;

    #[test]
    fn a_proof_holds_for_its_position_and_key_alone() {
        let key = ProofKey::new(&[1; 32]);
        let position = Position { log_id: LogId::new([2; 16]), seq: Seq::new(3), tag: Tag::new([4; 16]) };
        let proof = key.prove(&position);
        assert!(key.is_authentic(&ProvenPosition { position, proof }));
        assert!(!ProofKey::new(&[9; 32]).is_authentic(&ProvenPosition { position, proof }));
        for other in [
            Position { log_id: LogId::new([9; 16]), ..position },
            Position { seq: Seq::new(4), ..position },
            Position { tag: Tag::new([9; 16]), ..position },
        ] {
            assert!(!key.is_authentic(&ProvenPosition { position: other, proof }), "{other:?}");
        }
    }
}
