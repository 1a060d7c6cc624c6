//! Tags of the revocation log, which is a [chain](super::chain).

use countermark::verify::{Seq, Tag};

use super::chain::Link;

/// An entry, as its tag depends on it.
#[derive(Clone, Copy, Debug)]
pub struct TaggedEntry<'a> {
    /// The number of the entry.
    pub seq: Seq,
    /// Its kind.
    pub kind: &'a str,
    /// Its subject.
    pub subject: &'a str,
    /// Its instant, in seconds.
    pub before_at: Option<i64>,
    /// Its end, in milliseconds.
    pub expires_at: Option<i64>,
}

/// The tag of `entry`, which follows the one with the tag `previous`.
#[must_use]
pub fn tag_after(previous: Tag, random: [u8; 8], entry: &TaggedEntry<'_>) -> Tag {
    Link::after(previous, random)
        .number(entry.seq.number())
        .text(entry.kind)
        .text(entry.subject)
        .instant(entry.before_at)
        .instant(entry.expires_at)
        .tag()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: TaggedEntry<'_> =
        TaggedEntry { seq: Seq::new(7), kind: "session", subject: "one", before_at: None, expires_at: None };

    #[test]
    fn a_tag_depends_on_all_that_it_is_made_of() {
        let tag = |entry: &TaggedEntry<'_>| tag_after(Tag::new([1; 16]), [2; 8], entry);
        let others = [
            tag_after(Tag::new([3; 16]), [2; 8], &ENTRY),
            tag_after(Tag::new([1; 16]), [3; 8], &ENTRY),
            tag(&TaggedEntry { seq: Seq::new(8), ..ENTRY }),
            tag(&TaggedEntry { kind: "token", ..ENTRY }),
            tag(&TaggedEntry { subject: "two", ..ENTRY }),
            tag(&TaggedEntry { kind: "sessiono", subject: "ne", ..ENTRY }),
            tag(&TaggedEntry { before_at: Some(0), ..ENTRY }),
            tag(&TaggedEntry { expires_at: Some(0), ..ENTRY }),
        ];
        assert_eq!(tag(&ENTRY), tag(&ENTRY));
        for (place, other) in others.iter().enumerate() {
            assert_ne!(tag(&ENTRY), *other, "{place}");
            assert!(!others[..place].contains(other), "{place}");
        }
    }
}
