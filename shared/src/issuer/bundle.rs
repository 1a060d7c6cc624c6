//! [`Bundle`]: keys, revocations and the position in the log, in one file. A verifier with a bundle starts while the issuer is
//! down. The file is authenticated with a key that is derived from the client's secret. An attacker who can write the file, but
//! does not know the secret, can only put an older bundle back, until that one expires.
//!
//! `magic ‖ length of header ‖ header (JSON) ‖ revocations, 32 bytes each ‖ HMAC-SHA256 of all that`

use std::time::Duration;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    hkdf::{self, Salt},
    hmac,
};
use serde::{Deserialize, Serialize};

use super::Followed;
use crate::{
    clock::{Clock, Timestamp},
    verify::{
        Audience, InvalidKeySet, Issuer, KeySet, LogId, Position, ProvenPosition, RevocationSet, Seq, Tag,
        revocation_set::RECORD_BYTES,
    },
};

/// The first bytes of every bundle, with the version of the format.
const MAGIC: &[u8] = b"tessera verifier bundle 1\n";

/// The purpose of the derived key: the same secret gives other keys for other purposes.
const INFO: &[u8] = b"tessera verifier bundle 1";

/// How far the clock may have been set back since a bundle was written.
const CLOCK_MARGIN_MILLIS: i64 = 60_000;

/// The state with which a verifier can start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Bundle {
    /// The issuer of the keys and revocations.
    pub issuer: Issuer,
    /// The audience of the verifier that wrote it.
    pub audience: Audience,
    /// The position in the log up to which the revocations are complete.
    pub position: Position,
    /// The last position that the issuer has proven, if any.
    pub proven: Option<ProvenPosition>,
    /// When the last question was sent that the issuer answered.
    pub heard_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// The keys.
    pub keys: KeySet,
    /// The revocations.
    pub revocations: RevocationSet,
}

/// The key that authenticates bundles.
#[derive(Clone, Debug)]
pub struct BundleKey(hmac::Key);

/// Why a bundle can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBundle {
    /// It was not made with this client's secret, or it is damaged.
    #[error("it was not made with this client's secret, or it is damaged")]
    Forged,
    /// It is of another format, or of none.
    #[error("it is not of a format that this version reads")]
    Format,
    /// It is of another issuer, or of another audience.
    #[error("it is of another issuer or audience")]
    Foreign,
    /// It is too old.
    #[error("it has expired")]
    Expired,
    /// It was written in the future, by this machine's clock.
    #[error("it was written in the future")]
    Ahead,
    /// Its keys are of no use.
    #[error("its keys are {0}")]
    Keys(#[from] InvalidKeySet),
}

/// Everything but the revocations.
#[derive(Deserialize, Serialize)]
struct Header {
    issuer: Issuer,
    audience: Audience,
    log_id: Vec<u8>,
    seq: u64,
    /// Absent in bundles from before there were tags. Then the issuer sends a snapshot.
    #[serde(default)]
    tag: Vec<u8>,
    #[serde(default)]
    proven: Option<Proven>,
    heard_at: i64,
    expires_at: i64,
    keys: String,
    revoked_keys: Vec<String>,
    everything_before: Option<i64>,
}

/// A proven position.
#[derive(Deserialize, Serialize)]
struct Proven {
    log_id: Vec<u8>,
    seq: u64,
    tag: Vec<u8>,
    proof: Vec<u8>,
}

impl From<ProvenPosition> for Proven {
    fn from(ProvenPosition { position, proof }: ProvenPosition) -> Self {
        Self {
            log_id: position.log_id.bytes().to_vec(),
            seq: position.seq.number(),
            tag: position.tag.bytes().to_vec(),
            proof: proof.to_vec(),
        }
    }
}

impl Proven {
    fn read(&self) -> Option<ProvenPosition> {
        let position = position(&self.log_id, self.seq, &self.tag)?;
        Some(ProvenPosition { position, proof: (&*self.proof).try_into().ok()? })
    }
}

fn position(log_id: &[u8], seq: u64, tag: &[u8]) -> Option<Position> {
    Some(Position {
        log_id: LogId::try_from(log_id).ok()?,
        seq: Seq::new(seq),
        tag: Tag::try_from(tag).ok()?,
    })
}

impl BundleKey {
    /// The key of the client that has that secret.
    #[must_use]
    pub fn derived_from(client_secret: &str) -> Self {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        let derived = Salt::new(hkdf::HKDF_SHA256, &[]).extract(client_secret.as_bytes());
        let filled = derived.expand(&[INFO], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut *bytes));
        debug_assert!(filled.is_ok(), "32 bytes are one block of SHA-256");
        Self(hmac::Key::new(hmac::HMAC_SHA256, &*bytes))
    }
}

impl Bundle {
    /// The state that is followed now, good for `ttl` after the issuer's last answer; `None` before the first answer, so that a
    /// bundle never looks younger than it is.
    #[must_use]
    pub fn of(
        followed: &Followed,
        (issuer, audience): (&Issuer, &Audience),
        ttl: Duration,
        clock: &dyn Clock,
    ) -> Option<Self> {
        let heard_ago = followed.freshness.heard_ago(clock.monotonic())?;
        let heard_at = clock.now().before(heard_ago);
        // The position is read before the set. An entry that is added between the two is sent once more, which does no harm.
        let position = followed.freshness.position()?;
        Some(Self {
            issuer: issuer.clone(),
            audience: audience.clone(),
            position,
            proven: followed.freshness.proven(),
            heard_at,
            expires_at: heard_at.after(ttl),
            keys: (*followed.keys.held()?).clone(),
            revocations: followed.revocations.copied(),
        })
    }

    /// The bytes of the file.
    #[must_use]
    pub fn seal(&self, key: &BundleKey) -> Vec<u8> {
        let header = Header {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            log_id: self.position.log_id.bytes().to_vec(),
            seq: self.position.seq.number(),
            tag: self.position.tag.bytes().to_vec(),
            proven: self.proven.map(Proven::from),
            heard_at: self.heard_at.unix_millis(),
            expires_at: self.expires_at.unix_millis(),
            keys: self.keys.json().unwrap_or_default().to_owned(),
            revoked_keys: self.revocations.keys().map(str::to_owned).collect(),
            everything_before: self.revocations.everything(),
        };
        // Strings and numbers can't fail to be written.
        let header = serde_json::to_vec(&header).unwrap_or_default();
        let mut bytes = Vec::with_capacity(
            MAGIC.len() + 4 + header.len() + self.revocations.len() * RECORD_BYTES + hmac_len(),
        );
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&u32::try_from(header.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(&header);
        self.revocations.records(|record| bytes.extend_from_slice(record));
        let tag = hmac::sign(&key.0, &bytes);
        bytes.extend_from_slice(tag.as_ref());
        bytes
    }

    /// Reads a file, if a verifier of that issuer and audience can use it at `now`.
    ///
    /// # Errors
    /// [`InvalidBundle`] names the reason. Nothing is read before the file is known to be authentic.
    pub fn open(
        bytes: &[u8],
        key: &BundleKey,
        (issuer, audience): (&Issuer, &Audience),
        now: Timestamp,
    ) -> Result<Self, InvalidBundle> {
        let split = bytes.split_at_checked(bytes.len().saturating_sub(hmac_len()));
        let (content, tag) = split.ok_or(InvalidBundle::Forged)?;
        let expected = hmac::sign(&key.0, content);
        verify_slices_are_equal(expected.as_ref(), tag).map_err(|_| InvalidBundle::Forged)?;
        let (header, records) = parts(content).ok_or(InvalidBundle::Format)?;
        let header: Header = serde_json::from_slice(header).map_err(|_| InvalidBundle::Format)?;
        if header.issuer != *issuer || header.audience != *audience {
            return Err(InvalidBundle::Foreign);
        }
        let (heard_at, expires_at) =
            (Timestamp::from_unix_millis(header.heard_at), Timestamp::from_unix_millis(header.expires_at));
        if now >= expires_at {
            return Err(InvalidBundle::Expired);
        }
        // A clock that was set back would let it live longer.
        if heard_at - now > CLOCK_MARGIN_MILLIS {
            return Err(InvalidBundle::Ahead);
        }
        Ok(Self {
            position: position(&header.log_id, header.seq, &header.tag).ok_or(InvalidBundle::Format)?,
            proven: header.proven.and_then(|proven| proven.read()),
            keys: KeySet::from_json(header.keys.as_bytes())?,
            revocations: RevocationSet::restored(records, header.revoked_keys, header.everything_before)
                .ok_or(InvalidBundle::Format)?,
            issuer: header.issuer,
            audience: header.audience,
            heard_at,
            expires_at,
        })
    }
}

/// The header, and the records.
fn parts(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = content.strip_prefix(MAGIC)?.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

fn hmac_len() -> usize {
    hmac::HMAC_SHA256.digest_algorithm().output_len()
}

#[cfg(test)]
mod tests;
