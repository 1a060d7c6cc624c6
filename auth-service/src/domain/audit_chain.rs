//! The audit trail is a [chain](super::chain): whoever changes or removes an entry in the middle breaks it. Who can write the
//! database can make a whole new chain, and can remove the newest entries or the oldest. A tag that was written down elsewhere
//! shows that.

use std::{fmt, str::FromStr};

use countermark::verify::Tag;

use super::{
    account::AccountId,
    audit::{AuditEntry, AuditLink, Event, ListedEntry},
    chain::Link,
    client::ClientId,
    session::SessionId,
};

/// An entry, as its tag depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    at: i64,
    event: &'a str,
    account: Option<&'a [u8; 16]>,
    session: Option<&'a [u8; 16]>,
    client: Option<&'a str>,
    address: Option<&'a str>,
    user_agent: Option<&'a str>,
    detail: Option<&'a str>,
}

impl<'a> From<&'a AuditEntry> for Content<'a> {
    fn from(entry: &'a AuditEntry) -> Self {
        Self {
            at: entry.at.unix_millis(),
            event: entry.event.as_str(),
            account: entry.account.as_ref().map(AccountId::as_bytes),
            session: entry.session.as_ref().map(SessionId::as_bytes),
            client: entry.client.as_ref().map(ClientId::as_str),
            address: entry.device.address.as_deref(),
            user_agent: entry.device.user_agent.as_deref(),
            detail: entry.detail.as_deref(),
        }
    }
}

impl<'a> From<&'a ListedEntry> for Content<'a> {
    fn from(entry: &'a ListedEntry) -> Self {
        Self {
            at: entry.at.unix_millis(),
            event: &entry.event,
            account: entry.account.as_ref().map(AccountId::as_bytes),
            session: entry.session.as_ref().map(SessionId::as_bytes),
            client: entry.client.as_deref(),
            address: entry.device.address.as_deref(),
            user_agent: entry.device.user_agent.as_deref(),
            detail: entry.detail.as_deref(),
        }
    }
}

impl AuditLink {
    /// The link of `content` after the entry with the tag `previous`.
    #[must_use]
    pub fn after(previous: Tag, random: [u8; 8], content: Content<'_>) -> Self {
        // The count in a repeated answer's detail grows.
        let detail = content.detail.filter(|_| content.event != Event::RefreshRepeated.as_str());
        let tag = Link::after(previous, random)
            .instant(Some(content.at))
            .text(content.event)
            .bytes_if_any(content.account.map(<[u8; 16]>::as_slice))
            .bytes_if_any(content.session.map(<[u8; 16]>::as_slice))
            .bytes_if_any(content.client.map(str::as_bytes))
            .bytes_if_any(content.address.map(str::as_bytes))
            .bytes_if_any(content.user_agent.map(str::as_bytes))
            .bytes_if_any(detail.map(str::as_bytes))
            .tag();
        Self { previous, random, tag }
    }
}

/// An entry and its tag, as somebody wrote them down: `1234:6f1c…`, with 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The id of the entry.
    pub id: i64,
    /// Its tag.
    pub tag: Tag,
}

/// The text is no witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write ID:TAG as `audit verify` prints it, for example 1234:00112233445566778899aabbccddeeff")]
pub struct InvalidWitness;

impl FromStr for Witness {
    type Err = InvalidWitness;

    fn from_str(text: &str) -> Result<Self, InvalidWitness> {
        let (id, tag) = text.split_once(':').ok_or(InvalidWitness)?;
        let (id, tag) = (id.parse().map_err(|_| InvalidWitness)?, bytes(tag).ok_or(InvalidWitness)?);
        Ok(Self { id, tag: Tag::new(tag) })
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, hexadecimal(&self.tag.bytes()))
    }
}

/// The bytes in hexadecimal.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// The bytes of that many pairs of hexadecimal digits.
#[must_use]
pub fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits: Vec<_> = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok());
    let bytes: Vec<u8> = (digits.len() == 2 * N).then(|| pairs.collect()).flatten()?;
    bytes.try_into().ok()
}

/// What is wrong at an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The entry isn't as it was written.
    Changed,
    /// Entries between it and the one before it are missing, or the order is another one.
    Missing,
    /// It has no link, though entries before it have one.
    Unlinked,
    /// It is not the entry that was written down.
    NotTheWitness,
    /// The entry that was written down is not there.
    NoSuchEntry,
    /// The entry that was written down is older than all that are there. It was swept, or removed.
    BeforeTheFirst,
}

impl Fault {
    /// The fault as a word, for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Missing => "missing_before",
            Self::Unlinked => "unlinked",
            Self::NotTheWitness => "not_the_witness",
            Self::NoSuchEntry => "no_such_entry",
            Self::BeforeTheFirst => "before_the_first",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "it is not as it was written",
            Self::Missing => "entries before it are missing, or in another order",
            Self::Unlinked => "it was added by another program",
            Self::NotTheWitness => "it is another one than the one that you name",
            Self::NoSuchEntry => "it is not there",
            Self::BeforeTheFirst => {
                "it is older than all that are there: it was swept, or removed; name a newer one"
            }
        })
    }
}

/// Reads a trail in order, and finds where it is broken.
#[derive(Debug, Default)]
pub struct Check {
    /// The witness that the trail has to agree with.
    witness: Option<Witness>,
    /// Whether an entry with the witness's id was there.
    has_met_witness: bool,
    /// The number of entries so far.
    pub entries: u64,
    /// The number of those from before there was a chain.
    pub before_the_chain: u64,
    /// The first entry of the chain.
    pub first: Option<i64>,
    /// The last entry.
    pub last: Option<Witness>,
    /// The first faults.
    pub faults: Vec<(i64, Fault)>,
    /// The number of all faults.
    pub faulty: u64,
}

/// That many faults are named.
const NAMED: usize = 20;

impl Check {
    /// A check of a trail that has to agree with `witness`.
    #[must_use]
    pub fn expecting(witness: Option<Witness>) -> Self {
        Self { witness, ..Self::default() }
    }

    /// Looks at the next entry.
    pub fn entry(&mut self, entry: &ListedEntry) {
        self.entries += 1;
        let Some(link) = entry.link else {
            if self.last.is_some() {
                self.found(entry.id, Fault::Unlinked);
            } else {
                self.before_the_chain += 1;
            }
            return;
        };
        if AuditLink::after(link.previous, link.random, entry.into()).tag != link.tag {
            self.found(entry.id, Fault::Changed);
        }
        // Where older entries have no link, the chain begins with this one: else theirs were taken away.
        let previous = self.last.map(|last| last.tag).or((self.before_the_chain > 0).then_some(Tag::UNKNOWN));
        if previous.is_some_and(|previous| previous != link.previous) {
            self.found(entry.id, Fault::Missing);
        }
        if let Some(witness) = self.witness.filter(|witness| witness.id == entry.id) {
            self.has_met_witness = true;
            if witness.tag != link.tag {
                self.found(entry.id, Fault::NotTheWitness);
            }
        }
        self.first = self.first.or(Some(entry.id));
        self.last = Some(Witness { id: entry.id, tag: link.tag });
    }

    /// After the last entry: whether the witness's entry was there.
    pub fn end(&mut self) {
        let Some(witness) = self.witness.filter(|_| !self.has_met_witness) else { return };
        let is_older = self.first.is_some_and(|first| witness.id < first);
        self.found(witness.id, if is_older { Fault::BeforeTheFirst } else { Fault::NoSuchEntry });
    }

    fn found(&mut self, id: i64, fault: Fault) {
        self.faulty += 1;
        if self.faults.len() < NAMED {
            self.faults.push((id, fault));
        }
    }
}

#[cfg(test)]
mod tests {
    use countermark::clock::Timestamp;

    use super::*;
    use crate::domain::session::Device;

    fn trail(entries: i64) -> Vec<ListedEntry> {
        let mut previous = Tag::UNKNOWN;
        let chained = (1..=entries).map(|id| {
            let mut entry = ListedEntry {
                id,
                at: Timestamp::from_unix_seconds(100 + id),
                event: "login".to_owned(),
                account: None,
                email: None,
                session: None,
                client: Some("first-party".to_owned()),
                device: Device::default(),
                detail: None,
                link: None,
            };
            let link = AuditLink::after(previous, [7; 8], (&entry).into());
            previous = link.tag;
            entry.link = Some(link);
            entry
        });
        chained.collect()
    }

    fn check(trail: &[ListedEntry], witness: Option<Witness>) -> Vec<(i64, Fault)> {
        let mut check = Check::expecting(witness);
        for entry in trail {
            check.entry(entry);
        }
        check.end();
        check.faults
    }

    #[test]
    fn a_trail_is_whole_and_so_is_one_whose_oldest_entries_were_swept() {
        assert_eq!(check(&trail(5), None), []);
        assert_eq!(check(&trail(5)[2..], None), []);
        let mut older = trail(5);
        older.insert(0, ListedEntry { id: 0, link: None, ..older[0].clone() });
        assert_eq!(check(&older, None), [], "from before there was a chain");
    }

    #[test]
    fn whatever_is_changed_removed_moved_or_added_shows() {
        type Change = fn(&mut Vec<ListedEntry>);
        let changes: [(Change, i64, Fault); 10] = [
            (|trail| trail[..2].iter_mut().for_each(|entry| entry.link = None), 3, Fault::Missing),
            (|trail| trail[2].at = Timestamp::default(), 3, Fault::Changed),
            (|trail| trail[2].event = "logout".to_owned(), 3, Fault::Changed),
            (|trail| trail[2].client = None, 3, Fault::Changed),
            (|trail| trail[2].client = Some(String::new()), 3, Fault::Changed),
            (|trail| trail[2].device.address = Some("192.0.2.1".to_owned()), 3, Fault::Changed),
            (|trail| trail[2].detail = Some("by root".to_owned()), 3, Fault::Changed),
            (|trail| drop(trail.remove(2)), 4, Fault::Missing),
            (|trail| trail.swap(2, 3), 4, Fault::Missing),
            (|trail| trail[2].link = None, 3, Fault::Unlinked),
        ];
        for (place, (change, id, fault)) in changes.into_iter().enumerate() {
            let mut trail = trail(5);
            change(&mut trail);
            assert_eq!(check(&trail, None).first(), Some(&(id, fault)), "{place}");
        }
    }

    #[test]
    fn a_witness_shows_that_the_newest_entries_are_gone_or_that_all_was_written_again() {
        let whole = trail(5);
        let witness = |id: usize| Some(Witness { id: whole[id].id, tag: whole[id].link.unwrap().tag });
        assert_eq!(check(&whole, witness(4)), []);
        assert_eq!(check(&whole[3..], witness(1)), [(2, Fault::BeforeTheFirst)], "it was swept, or removed");
        let mut without = whole.clone();
        without.remove(3);
        assert!(check(&without, witness(3)).contains(&(4, Fault::NoSuchEntry)));
        assert_eq!(check(&whole[..4], witness(4)), [(5, Fault::NoSuchEntry)]);
        assert_eq!(check(&[], witness(4)), [(5, Fault::NoSuchEntry)]);
        let other = Some(Witness { id: 5, tag: Tag::new([9; 16]) });
        assert_eq!(check(&whole, other), [(5, Fault::NotTheWitness)]);
    }

    #[test]
    fn a_witness_is_read_as_it_is_printed() {
        let witness = Witness { id: 1_234, tag: Tag::new([0xab; 16]) };
        assert_eq!(witness.to_string().parse(), Ok(witness));
        for text in [
            "",
            "1",
            "1:",
            ":00",
            "x:00112233445566778899aabbccddeeff",
            "1:0011",
            "1:zz112233445566778899aabbccddeeff",
        ] {
            assert!(text.parse::<Witness>().is_err(), "{text}");
        }
    }
}
