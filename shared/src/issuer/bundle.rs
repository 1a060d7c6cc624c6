//! What a verifier judges by, in one file: keys, revocations, and where in the log they stand. So it starts with the issuer
//! down. Authenticated with a key derived from its client secret: whoever can write the file, but does not know the secret,
//! can at most put an older one back, until that expires.
//!
//! `magic ‖ length of header ‖ header (JSON) ‖ revocations, 32 bytes each ‖ HMAC-SHA256 of all that`

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    hkdf::{self, Salt},
    hmac,
};
use serde::{Deserialize, Serialize};

use crate::verify::{LogId, Position, RevocationSet, Seq, revocation_set::RECORD_BYTES};
use crate::{
    clock::Timestamp,
    verify::{Audience, InvalidKeySet, Issuer, KeySet},
};

/// The first bytes of every bundle, with the version of the format.
const MAGIC: &[u8] = b"tessera verifier bundle 1\n";

/// What the key is derived for: the same secret gives other keys for other uses.
const INFO: &[u8] = b"tessera verifier bundle 1";

/// By how much the clock may have been set back since a bundle was written.
const CLOCK_MARGIN_MILLIS: i64 = 60_000;

/// What a verifier judges by.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Whose keys and revocations they are.
    pub issuer: Issuer,
    /// Which verifier's.
    pub audience: Audience,
    /// Where in the log the revocations stand.
    pub position: Position,
    /// When the issuer had been asked that answered last.
    pub heard_at: Timestamp,
    /// When it is of no use any more.
    pub expires_at: Timestamp,
    /// The keys.
    pub keys: KeySet,
    /// What is revoked.
    pub revocations: RevocationSet,
}

/// What bundles are authenticated with.
#[derive(Clone, Debug)]
pub struct BundleKey(hmac::Key);

/// Why a bundle is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
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
    heard_at: i64,
    expires_at: i64,
    keys: String,
    revoked_keys: Vec<String>,
    everything_before: Option<i64>,
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
    /// The bytes of the file.
    #[must_use]
    pub fn seal(&self, key: &BundleKey) -> Vec<u8> {
        let header = Header {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            log_id: self.position.log_id.bytes().to_vec(),
            seq: self.position.seq.number(),
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

    /// What a file holds, if it is of use at `now` to the verifier of that issuer and audience.
    ///
    /// # Errors
    /// [`InvalidBundle`] says why it is not. Nothing of it is read before it is known to be genuine.
    pub fn open(
        bytes: &[u8],
        key: &BundleKey,
        (issuer, audience): (&Issuer, &Audience),
        now: Timestamp,
    ) -> Result<Self, InvalidBundle> {
        let genuine = bytes.split_at_checked(bytes.len().saturating_sub(hmac_len()));
        let (content, tag) = genuine.ok_or(InvalidBundle::Forged)?;
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
            position: Position {
                log_id: LogId::try_from(&*header.log_id).map_err(|_| InvalidBundle::Format)?,
                seq: Seq::new(header.seq),
            },
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
