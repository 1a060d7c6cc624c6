//! The mark: how far the database got, kept outside of it. A database that is behind its mark went back.

use aws_lc_rs::digest::{SHA256, digest};
use countermark::verify::{Kid, LogId, NumericDate, Position, Seq, Tag};
use serde::{Deserialize, Serialize};

/// The bytes of a slot. The file has two, which are written in turn: a torn write leaves the other one.
pub const SLOT_BYTES: usize = 16 * 1024;

/// The first bytes of a slot, with the version of the format.
const MAGIC: &[u8] = b"countermark mark 1\n";

const CHECKSUM_BYTES: usize = 32;

/// The most keys that a slot has room for. There are three in a usual rotation.
const MAX_KIDS: usize = 128;

/// How far the database got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The head of the revocation log.
    pub position: Position,
    /// The number of write transactions. It counts what writes no log entry, too.
    pub writes: u64,
    /// The largest `iat` of any token.
    pub minted_up_to: NumericDate,
    /// The signing keys.
    pub kids: Vec<Kid>,
}

/// A slot's content.
#[derive(Deserialize, Serialize)]
struct Content {
    turn: u64,
    log_id: [u8; 16],
    seq: u64,
    tag: [u8; 16],
    writes: u64,
    minted_up_to: i64,
    kids: Vec<String>,
}

impl Mark {
    /// The bytes of a slot. `turn` counts the writes of the file.
    #[must_use]
    pub fn encode(&self, turn: u64) -> Vec<u8> {
        let content = Content {
            turn,
            log_id: self.position.log_id.bytes(),
            seq: self.position.seq.number(),
            tag: self.position.tag.bytes(),
            writes: self.writes,
            minted_up_to: self.minted_up_to.unix_seconds(),
            kids: self.kids.iter().take(MAX_KIDS).map(|kid| kid.as_str().to_owned()).collect(),
        };
        // Numbers and strings can't fail to be written.
        let json = serde_json::to_vec(&content).unwrap_or_default();
        let length = u32::try_from(json.len()).unwrap_or(u32::MAX).to_be_bytes();
        let mut slot = [MAGIC, &length, &json].concat();
        slot.extend_from_slice(digest(&SHA256, &slot).as_ref());
        slot
    }

    /// The mark in a slot, with its turn. `None` when the slot is empty or torn.
    #[must_use]
    pub fn decode(slot: &[u8]) -> Option<(u64, Self)> {
        let (length, rest) = slot.strip_prefix(MAGIC)?.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (json, rest) = rest.split_at_checked(length)?;
        let checked = slot.get(..MAGIC.len() + 4 + length)?;
        if digest(&SHA256, checked).as_ref() != rest.get(..CHECKSUM_BYTES)? {
            return None;
        }
        let content: Content = serde_json::from_slice(json).ok()?;
        let position = Position {
            log_id: LogId::new(content.log_id),
            seq: Seq::new(content.seq),
            tag: Tag::new(content.tag),
        };
        let mark = Self {
            position,
            writes: content.writes,
            minted_up_to: NumericDate::from_unix_seconds(content.minted_up_to),
            kids: content.kids.iter().map(|kid| kid.parse().ok()).collect::<Option<_>>()?,
        };
        Some((content.turn, mark))
    }

    /// The newest mark of a file's bytes, with its turn.
    #[must_use]
    pub fn newest(file: &[u8]) -> Option<(u64, Self)> {
        let second = file.get(SLOT_BYTES..).unwrap_or_default();
        [Self::decode(file), Self::decode(second)].into_iter().flatten().max_by_key(|(turn, _)| *turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(writes: u64) -> Mark {
        Mark {
            position: Position { log_id: LogId::new([1; 16]), seq: Seq::new(2), tag: Tag::new([3; 16]) },
            writes,
            minted_up_to: NumericDate::from_unix_seconds(4),
            kids: vec!["one".parse().unwrap()],
        }
    }

    fn file(slots: [&[u8]; 2]) -> Vec<u8> {
        let mut bytes = vec![0; 2 * SLOT_BYTES];
        bytes[..slots[0].len()].copy_from_slice(slots[0]);
        bytes[SLOT_BYTES..SLOT_BYTES + slots[1].len()].copy_from_slice(slots[1]);
        bytes
    }

    #[test]
    fn the_newest_slot_counts_and_a_torn_one_does_not() {
        let (old, new) = (mark(7).encode(1), mark(8).encode(2));
        assert_eq!(Mark::newest(&file([&old, &new])), Some((2, mark(8))));
        assert_eq!(Mark::newest(&file([&new, &old])), Some((2, mark(8))));
        for cut in 0..new.len() {
            assert_eq!(Mark::newest(&file([&old, &new[..cut]])), Some((1, mark(7))), "{cut}");
            let mut flipped = new.clone();
            flipped[cut] ^= 1;
            assert_eq!(Mark::newest(&file([&old, &flipped])), Some((1, mark(7))), "{cut}");
        }
        assert_eq!(Mark::newest(&[]), None);
        assert_eq!(Mark::newest(&vec![0; 2 * SLOT_BYTES]), None);
    }

    #[test]
    fn a_slot_has_room_for_all_keys() {
        let many = Mark { kids: vec!["k".repeat(64).parse().unwrap(); 200], ..mark(1) };
        assert!(many.encode(u64::MAX).len() <= SLOT_BYTES);
    }
}
