//! Revocations as protobuf messages. The issuer writes them and verifiers read them, so both directions are in one place.

use countermark_proto::auth_v1::{self as wire, entry::Matches};

use crate::verify::{Entry, Revocation};
use crate::verify::{NumericDate, Opaque};

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
            // Never sent to this verifier: its hello takes none.
            Matches::Fingerprint(_) => return Err(InvalidEntry),
        };
        Ok(Self { revocation, expires_at: entry.expires_at.map(date) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn an_entry_that_says_nothing_is_refused() {
        assert_eq!(Entry::try_from(wire::Entry::default()), Err(InvalidEntry));
        let nobody = wire::Entry { matches: Some(Matches::Sid(String::new())), expires_at: None };
        assert_eq!(Entry::try_from(nobody), Err(InvalidEntry));
    }
}
