//! Tags of the revocation log: each depends on the tag before, on random bytes, and on the entry.

use aws_lc_rs::digest::{Context, SHA256};
use countermark::verify::{Seq, Tag};

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

/// The tag of `entry`: the first 16 bytes of SHA-256(`previous` ‖ `random` ‖ `entry`). Content alone can repeat after a step
/// back. Random bytes can't.
#[must_use]
pub fn tag_after(previous: Tag, random: [u8; 8], entry: &TaggedEntry<'_>) -> Tag {
    let mut context = Context::new(&SHA256);
    context.update(&previous.bytes());
    context.update(&random);
    context.update(&entry.seq.number().to_be_bytes());
    for text in [entry.kind, entry.subject] {
        // The length comes first, so that no two entries have the same bytes.
        context.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(text.as_bytes());
    }
    for instant in [entry.before_at, entry.expires_at] {
        context.update(&[u8::from(instant.is_some())]);
        context.update(&instant.unwrap_or_default().to_be_bytes());
    }
    let digest = context.finish();
    Tag::new(digest.as_ref().first_chunk().copied().unwrap_or_default())
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
