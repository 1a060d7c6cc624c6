//! Positions in a revocation log: the id of the log, the sequence number of an entry, and the entry's tag. The issuer and its
//! verifiers use the same types.

use std::fmt;

/// Sequence number of an entry of a revocation log. Counts up from 1 without a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(u64);

impl Seq {
    /// The number before the first entry: 0.
    pub const START: Self = Self(0);

    /// The sequence number of that value.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The value.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The number that is `count` entries later.
    #[must_use]
    pub const fn later(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// The number of the entry before this one. [`START`](Self::START) has none, and stays.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// How many entries come after `earlier`, up to this one; `None` when this one comes first.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Random id of a revocation log. A database that is restored from a backup gets another one, so that no verifier takes its
/// log for the one that it followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LogId([u8; 16]);

/// The bytes are not the id of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a log has 16 bytes")]
pub struct InvalidLogId;

impl LogId {
    /// The id of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl TryFrom<&[u8]> for LogId {
    type Error = InvalidLogId;

    fn try_from(bytes: &[u8]) -> Result<Self, InvalidLogId> {
        bytes.try_into().map(Self).map_err(|_| InvalidLogId)
    }
}

/// Tag of an entry: 16 bytes that depend on the tag of the entry before, on random bytes, and on the entry. A log that was
/// set back and went on has another tag at the same number. The issuer makes tags. A verifier stores them, and never
/// computes one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tag([u8; 16]);

/// The bytes are not a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tag has 16 bytes")]
pub struct InvalidTag;

impl Tag {
    /// Stands for an unknown tag: of an issuer or a verifier from before there were tags.
    pub const UNKNOWN: Self = Self([0; 16]);

    /// The tag of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// Whether both tags are known and equal.
    #[must_use]
    pub fn agrees(self, other: Self) -> bool {
        self == other && self != Self::UNKNOWN
    }
}

impl TryFrom<&[u8]> for Tag {
    type Error = InvalidTag;

    /// No bytes are [`UNKNOWN`](Self::UNKNOWN).
    fn try_from(bytes: &[u8]) -> Result<Self, InvalidTag> {
        if bytes.is_empty() { Ok(Self::UNKNOWN) } else { bytes.try_into().map(Self).map_err(|_| InvalidTag) }
    }
}

/// Position in a revocation log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Id of the log.
    pub log_id: LogId,
    /// Sequence number of the last entry before the position. [`Seq::START`] at the beginning of the log.
    pub seq: Seq,
    /// Tag of that entry. Where a log begins, its id is the tag.
    pub tag: Tag,
}

impl Position {
    /// The position at which the log `log_id` begins, after the entry `seq` of the log before it.
    #[must_use]
    pub const fn beginning(log_id: LogId, seq: Seq) -> Self {
        Self { log_id, seq, tag: Tag::new(log_id.bytes()) }
    }

    /// Whether both are the same position of the same log, with a known tag.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        self.log_id == other.log_id && self.seq == other.seq && self.tag.agrees(other.tag)
    }
}

/// A position that the issuer has proven: a MAC with a key of the issuer's own. A verifier shows the last proof when it
/// connects. A proof of a position that the issuer does not have shows that the issuer's database went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvenPosition {
    /// The position.
    pub position: Position,
    /// The MAC: 32 bytes.
    pub proof: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_never_leave_their_range() {
        assert_eq!(Seq::START.previous(), Seq::START);
        assert_eq!(Seq::new(u64::MAX).later(1), Seq::new(u64::MAX));
        assert_eq!((Seq::new(7).since(Seq::new(4)), Seq::new(4).since(Seq::new(7))), (Some(3), None));
    }

    #[test]
    fn a_tag_agrees_with_itself_unless_it_is_unknown() {
        let tag = Tag::new([7; 16]);
        assert!(tag.agrees(tag) && !tag.agrees(Tag::UNKNOWN) && !Tag::UNKNOWN.agrees(Tag::UNKNOWN));
        assert_eq!(Tag::try_from(&[][..]), Ok(Tag::UNKNOWN));
        assert_eq!(Tag::try_from(&[7; 16][..]), Ok(tag));
        for length in [1, 15, 17] {
            assert_eq!(Tag::try_from(&vec![7; length][..]), Err(InvalidTag));
        }
    }

    #[test]
    fn the_id_of_a_log_has_16_bytes() {
        assert_eq!(LogId::try_from(&[7; 16][..]).map(LogId::bytes), Ok([7; 16]));
        for length in [0, 15, 17] {
            assert_eq!(LogId::try_from(&vec![7; length][..]), Err(InvalidLogId));
        }
    }
}
