//! Documents and their limits. Pure: this module uses no database.

use std::{fmt, str::FromStr};

use countermark::clock::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// Maximum length of a title, in characters.
pub const MAX_TITLE_CHARS: usize = 200;

/// Maximum length of a body, in bytes of UTF-8.
pub const MAX_BODY_BYTES: usize = 10_000;

/// A document as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Document {
    /// The id.
    pub id: DocumentId,
    /// The title and the body.
    #[serde(flatten)]
    pub content: Content,
    /// The instant of creation.
    pub created_at: Timestamp,
    /// The instant of the last replacement, or of creation.
    pub updated_at: Timestamp,
}

/// The content of a document: a title of 1 to 200 characters, and a body of at most 10,000 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Content {
    title: String,
    body: String,
}

/// The reason why content is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidContent {
    /// The title is empty, or too long.
    #[error("title must have 1 to {MAX_TITLE_CHARS} characters")]
    Title,
    /// The body is too long.
    #[error("body must have at most {MAX_BODY_BYTES} bytes of UTF-8")]
    Body,
}

impl Content {
    /// Makes content of a title and a body.
    ///
    /// # Errors
    /// [`InvalidContent`] says which of them has an invalid length.
    pub fn new(title: String, body: String) -> Result<Self, InvalidContent> {
        if title.is_empty() || title.chars().nth(MAX_TITLE_CHARS).is_some() {
            Err(InvalidContent::Title)
        } else if body.len() > MAX_BODY_BYTES {
            Err(InvalidContent::Body)
        } else {
            Ok(Self { title, body })
        }
    }

    /// Content from the database. It was checked when it was stored. It is not checked again: a stricter rule must
    /// not hide it.
    pub(super) fn stored(title: String, body: String) -> Self {
        Self { title, body }
    }

    /// The title.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }
}

/// The id of a document: a `UUIDv7` (RFC 9562 §5.7). Ids sort in the order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId(Uuid);

/// The text is not a document id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no document has such an id")]
pub struct InvalidDocumentId;

/// The beginning of an id: milliseconds since 1970, and a counter of 12 bits within each millisecond. Each new id has
/// a greater ordinal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ordinal(i64);

impl Ordinal {
    const COUNTER_BITS: u32 = 12;

    /// The first ordinal of the instant `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        // An id holds 48 bits of milliseconds. Only the order of ids matters, so a wrong clock does no harm.
        const YEAR_9999_ENDS: i64 = 253_402_300_799_999;
        Self(now.unix_millis().clamp(0, YEAR_9999_ENDS) << Self::COUNTER_BITS)
    }

    /// An ordinal from its stored number.
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The ordinal as a number, for storage.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0
    }
}

impl DocumentId {
    /// An id with this ordinal. `random` makes it hard to guess.
    #[must_use]
    pub fn new(ordinal: Ordinal, random: [u8; 8]) -> Self {
        let ordinal = u128::from(ordinal.0.cast_unsigned());
        let (millis, counter) = (ordinal >> Ordinal::COUNTER_BITS, ordinal & 0xFFF);
        let random = u128::from(u64::from_be_bytes(random)) & ((1 << 62) - 1);
        Self(Uuid::from_u128(millis << 80 | 7 << 76 | counter << 64 | 0b10 << 62 | random))
    }

    /// An id from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The bytes of the id. They sort like ids.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl FromStr for DocumentId {
    type Err = InvalidDocumentId;

    /// Accepts only our own spelling: lower case, with hyphens.
    fn from_str(text: &str) -> Result<Self, InvalidDocumentId> {
        let id = Uuid::try_parse(text).map(Self).map_err(|_| InvalidDocumentId)?;
        if id.to_string() == text { Ok(id) } else { Err(InvalidDocumentId) }
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for DocumentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The maximum number of documents on a page: 1 to 100, 20 by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u8);

/// The text is not a [`PageSize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit must be a number from 1 to 100")]
pub struct InvalidPageSize;

impl PageSize {
    /// The number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(20)
    }
}

impl FromStr for PageSize {
    type Err = InvalidPageSize;

    fn from_str(text: &str) -> Result<Self, InvalidPageSize> {
        match text.parse() {
            // `parse` also accepts a plus sign.
            Ok(number @ 1..=100) if !text.starts_with('+') => Ok(Self(number)),
            _ => Err(InvalidPageSize),
        }
    }
}

/// A page of an owner's documents, oldest first. New documents come last, so pages don't shift while a client reads
/// them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page {
    /// The documents.
    pub items: Vec<Document>,
    /// The document after which the next page begins. `None` on the last page.
    pub next: Option<DocumentId>,
}

impl Page {
    /// A page of the first `size` documents of `found`. `found` has one more document if there is a next page.
    #[must_use]
    pub fn of(mut found: Vec<Document>, size: PageSize) -> Self {
        let has_more = found.len() > size.get().into();
        found.truncate(size.get().into());
        let next = found.last().filter(|_| has_more).map(|last| last.id);
        Self { items: found, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(title: &str, body: &str) -> Result<Content, InvalidContent> {
        Content::new(title.to_owned(), body.to_owned())
    }

    fn id(millis: i64, counter: i64, random: [u8; 8]) -> DocumentId {
        let first = Ordinal::at(Timestamp::from_unix_millis(millis));
        DocumentId::new(Ordinal::from_number(first.number() + counter), random)
    }

    #[test]
    fn a_title_has_1_to_200_characters_whatever_their_bytes() {
        assert_eq!(content("", "x"), Err(InvalidContent::Title));
        assert!(content(&"ж".repeat(200), "").is_ok());
        assert_eq!(content(&"x".repeat(201), ""), Err(InvalidContent::Title));
        assert_eq!(InvalidContent::Title.to_string(), "title must have 1 to 200 characters");
    }

    #[test]
    fn a_body_has_at_most_10_000_bytes() {
        assert!(content("t", &"x".repeat(10_000)).is_ok());
        assert_eq!(content("t", &"ж".repeat(5_001)), Err(InvalidContent::Body));
        assert_eq!(InvalidContent::Body.to_string(), "body must have at most 10000 bytes of UTF-8");
    }

    #[test]
    fn ids_sort_in_the_order_of_their_ordinals() {
        let ids = [
            id(5, 0, [0xFF; 8]),
            id(5, 1, [0; 8]),
            id(5, 4095, [1; 8]),
            id(5, 4096, [0; 8]),
            id(7, 0, [0; 8]),
        ];
        assert!(ids.is_sorted() && ids.map(|id| id.to_string()).is_sorted());
    }

    #[test]
    fn an_id_is_a_uuid_of_version_7_with_one_spelling() {
        let text = id(1_800_000_000_000, 3, [0xFF; 8]).to_string();
        assert_eq!(text, "01a3185c-5000-7003-bfff-ffffffffffff");
        assert_eq!(text.parse::<DocumentId>().unwrap().to_string(), text);
        for other in [&text.to_uppercase(), &text.replace('-', ""), &format!("{{{text}}}"), "", "x", "ж"] {
            assert_eq!(other.parse::<DocumentId>(), Err(InvalidDocumentId), "{other}");
        }
    }

    #[test]
    fn a_clock_that_is_far_off_still_gives_an_id() {
        assert_eq!(Ordinal::at(Timestamp::from_unix_millis(i64::MIN)).number(), 0);
        assert!(Ordinal::at(Timestamp::from_unix_millis(i64::MAX)).number() > 0);
    }

    #[test]
    fn a_page_size_is_1_to_100() {
        assert_eq!("100".parse(), Ok(PageSize(100)));
        assert_eq!(PageSize::default().get(), 20);
        for bad in ["0", "101", "256", "-1", "+1", "1.0", "", " 1", "x"] {
            assert_eq!(bad.parse::<PageSize>(), Err(InvalidPageSize), "{bad:?}");
        }
    }

    #[test]
    fn a_page_says_whether_there_is_more() {
        let document = |counter| Document {
            id: id(5, counter, [0; 8]),
            content: content("t", "b").unwrap(),
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        };
        let found: Vec<_> = (0..3).map(document).collect();
        let page = Page::of(found.clone(), PageSize(2));
        assert_eq!((page.items.len(), page.next), (2, Some(found[1].id)));
        assert_eq!(Page::of(found, PageSize(3)).next, None);
        assert_eq!(Page::of(Vec::new(), PageSize(1)).next, None);
    }
}
