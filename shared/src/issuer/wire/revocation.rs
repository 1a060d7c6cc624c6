//! Revocations as protobuf messages. The issuer writes them and verifiers read them, so both directions are in one place.

use countermark_proto::auth_v1::{self as wire, entry::Matches};

#[cfg(feature = "watch")]
use crate::verify::revocation::UnnamedEntry;
use crate::verify::{Entry, NumericDate, Opaque, Revocation, fingerprint_of};

/// An entry that says nothing that can be followed: it has no subject, or none that a token can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entry of the revocation log says nothing")]
pub struct InvalidEntry;

impl From<Entry> for wire::Entry {
    fn from(entry: Entry) -> Self {
        let before = |subject: Opaque, at: NumericDate| wire::Before {
            subject: subject.to_string(),
            at: at.unix_seconds(),
        };
        let matches = match entry.revocation {
            Revocation::Token(jti) => Matches::Jti(jti.to_string()),
            Revocation::Session(sid) => Matches::Sid(sid.to_string()),
            Revocation::Client(client, at) => Matches::Client(before(client, at)),
            Revocation::Account(account, at) => Matches::Account(before(account, at)),
            Revocation::Key(kid) => Matches::Kid(kid.to_string()),
            Revocation::Everything(at) => Matches::EverythingBefore(at.unix_seconds()),
        };
        Self { matches: Some(matches), expires_at: entry.expires_at.map(NumericDate::unix_seconds) }
    }
}

/// The message of `entry` that names no token, session, client or account: a fingerprint stands in its place. For verifiers
/// that take fingerprints.
#[must_use]
pub fn unnamed(entry: Entry) -> wire::Entry {
    let Some((fingerprint, up_to)) = fingerprint_of(&entry.revocation) else { return entry.into() };
    let fingerprint =
        wire::Fingerprint { bytes: fingerprint.to_vec(), up_to: up_to.map(NumericDate::unix_seconds) };
    wire::Entry {
        matches: Some(Matches::Fingerprint(fingerprint)),
        expires_at: entry.expires_at.map(NumericDate::unix_seconds),
    }
}

/// An entry, with its subject named or not.
#[cfg(feature = "watch")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AnyEntry {
    Named(Entry),
    Unnamed(UnnamedEntry),
}

#[cfg(feature = "watch")]
impl TryFrom<wire::Entry> for AnyEntry {
    type Error = InvalidEntry;

    fn try_from(entry: wire::Entry) -> Result<Self, InvalidEntry> {
        let date = NumericDate::from_unix_seconds;
        match &entry.matches {
            Some(Matches::Fingerprint(wire::Fingerprint { bytes, up_to })) => {
                Ok(Self::Unnamed(UnnamedEntry {
                    fingerprint: (&**bytes).try_into().map_err(|_| InvalidEntry)?,
                    up_to: up_to.map(date),
                    expires_at: entry.expires_at.map(date),
                }))
            }
            _ => entry.try_into().map(Self::Named),
        }
    }
}

impl TryFrom<wire::Entry> for Entry {
    type Error = InvalidEntry;

    fn try_from(entry: wire::Entry) -> Result<Self, InvalidEntry> {
        let opaque = |text: &str| text.parse::<Opaque>().map_err(|_| InvalidEntry);
        let date = NumericDate::from_unix_seconds;
        let revocation = match entry.matches.ok_or(InvalidEntry)? {
            Matches::Jti(jti) => Revocation::Token(opaque(&jti)?),
            Matches::Sid(sid) => Revocation::Session(opaque(&sid)?),
            Matches::Client(before) => Revocation::Client(opaque(&before.subject)?, date(before.at)),
            Matches::Account(before) => Revocation::Account(opaque(&before.subject)?, date(before.at)),
            Matches::Kid(kid) => Revocation::Key(kid.parse().map_err(|_| InvalidEntry)?),
            Matches::EverythingBefore(at) => Revocation::Everything(date(at)),
            // It names no subject.
            Matches::Fingerprint(_) => return Err(InvalidEntry),
        };
        Ok(Self { revocation, expires_at: entry.expires_at.map(date) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "watch")]
    use crate::verify::RevocationSet;

    #[test]
    fn entries_come_back_as_they_went() {
        let subject = || "subject".parse::<Opaque>().unwrap();
        let at = NumericDate::from_unix_seconds(1_800_000_000);
        for revocation in [
            Revocation::Token(subject()),
            Revocation::Session(subject()),
            Revocation::Client(subject(), at),
            Revocation::Account(subject(), at),
            Revocation::Key("key".parse().unwrap()),
            Revocation::Everything(at),
        ] {
            for expires_at in [None, Some(at)] {
                let entry = Entry { revocation: revocation.clone(), expires_at };
                assert_eq!(Entry::try_from(wire::Entry::from(entry.clone())), Ok(entry));
            }
        }
    }

    #[cfg(feature = "watch")]
    #[test]
    fn an_entry_without_its_name_has_the_same_effect() {
        let subject = || "subject".parse::<Opaque>().unwrap();
        let at = NumericDate::from_unix_seconds(1_800_000_000);
        for revocation in [
            Revocation::Token(subject()),
            Revocation::Session(subject()),
            Revocation::Client(subject(), at),
            Revocation::Account(subject(), at),
        ] {
            let entry = Entry { revocation, expires_at: Some(at) };
            let message = unnamed(entry.clone());
            let text = format!("{message:?}");
            assert!(!text.contains("subject"), "{text}");
            let Ok(AnyEntry::Unnamed(unnamed)) = AnyEntry::try_from(message.clone()) else {
                panic!("{text}")
            };
            let (mut named, mut held) = (RevocationSet::default(), RevocationSet::default());
            named.add(entry);
            held.add_unnamed(&unnamed);
            let records = |set: &RevocationSet| {
                let mut all = Vec::new();
                set.records(|record| all.push(*record));
                all
            };
            assert_eq!(records(&held), records(&named));
            assert_eq!(Entry::try_from(message), Err(InvalidEntry), "it names no subject");
        }
        for revocation in [Revocation::Key("key".parse().unwrap()), Revocation::Everything(at)] {
            let entry = Entry::from(revocation);
            assert_eq!(unnamed(entry.clone()), entry.into());
        }
    }

    #[test]
    fn an_entry_that_says_nothing_is_refused() {
        assert_eq!(Entry::try_from(wire::Entry::default()), Err(InvalidEntry));
        let nobody = wire::Entry { matches: Some(Matches::Sid(String::new())), expires_at: None };
        assert_eq!(Entry::try_from(nobody), Err(InvalidEntry));
        #[cfg(feature = "watch")]
        for length in [0, 15, 17, 32] {
            let fingerprint = wire::Fingerprint { bytes: vec![1; length], up_to: None };
            let entry = wire::Entry { matches: Some(Matches::Fingerprint(fingerprint)), expires_at: None };
            assert_eq!(AnyEntry::try_from(entry), Err(InvalidEntry), "{length}");
        }
    }
}
