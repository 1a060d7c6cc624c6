//! Fingerprints: the revocation set stores 16 bytes for each subject, however long the subject is.

use std::hash::{BuildHasherDefault, Hasher};

use aws_lc_rs::digest::{Context, SHA256};

use crate::verify::Claims;

/// Fingerprint of a subject: the first 128 bits of the SHA-256 over its kind and its text. The issuer chooses the
/// subjects. A collision by chance is too unlikely to matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(u128);

/// Kind of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Token = 1,
    Session = 2,
    Client = 3,
    Account = 4,
}

impl Fingerprint {
    pub(super) fn of(kind: Kind, subject: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&[kind as u8]);
        context.update(subject.as_bytes());
        let digest = context.finish();
        let first = digest.as_ref().iter().take(16);
        Self(first.fold(0, |bits, &byte| bits << 8 | u128::from(byte)))
    }

    #[cfg(any(feature = "watch", feature = "wire"))]
    pub(super) const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    #[cfg(feature = "watch")]
    pub(super) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// Index of its slice, from 0 to 255.
    pub(super) const fn slice(self) -> usize {
        (self.0 >> 120) as usize
    }
}

/// Fingerprints of a token's subjects: all that a revocation can name, except the key. They are computed once and
/// looked up often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subjects {
    pub(super) account: Fingerprint,
    pub(super) others: [Option<Fingerprint>; 3],
}

impl Subjects {
    pub(crate) fn of(claims: &Claims) -> Self {
        let named = |kind, subject: Option<&crate::verify::Opaque>| {
            subject.map(|subject| Fingerprint::of(kind, subject.as_str()))
        };
        Self {
            account: Fingerprint::of(Kind::Account, claims.sub.as_str()),
            others: [
                named(Kind::Token, claims.jti.as_ref()),
                named(Kind::Session, claims.sid.as_ref()),
                named(Kind::Client, claims.client_id.as_ref()),
            ],
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Fingerprint> {
        self.others.into_iter().flatten().chain([self.account])
    }
}

/// Hasher that does nothing: a fingerprint is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AsItIs(u64);

pub(super) type BuildAsItIs = BuildHasherDefault<AsItIs>;

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    /// Never called: a fingerprint is hashed as one `u128`.
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &byte| hash.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u128(&mut self, bits: u128) {
        #[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
        let low = bits as u64;
        self.0 = low;
    }
}
