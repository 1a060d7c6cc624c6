//! Chains of entries: the tag of each depends on the tag before it, on random bytes, and on the entry. Content alone can repeat
//! after a step back. Random bytes can't.

use aws_lc_rs::digest::{Context, SHA256};
use countermark::verify::Tag;

/// A tag that is being made. Each part says how long it is, so that no two entries have the same bytes.
pub struct Link(Context);

impl Link {
    /// The link after the one with the tag `previous`.
    #[must_use]
    pub fn after(previous: Tag, random: [u8; 8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&previous.bytes());
        context.update(&random);
        Self(context)
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.0.update(&number.to_be_bytes());
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Adds an instant, or that there is none.
    #[must_use]
    pub fn instant(mut self, instant: Option<i64>) -> Self {
        self.0.update(&[u8::from(instant.is_some())]);
        self.0.update(&instant.unwrap_or_default().to_be_bytes());
        self
    }

    /// Adds bytes, or that there are none.
    #[must_use]
    pub fn bytes_if_any(mut self, bytes: Option<&[u8]>) -> Self {
        self.0.update(&[u8::from(bytes.is_some())]);
        self.bytes(bytes.unwrap_or_default())
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let mut link = self.number(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        link.0.update(bytes);
        link
    }

    /// The tag: the first 16 bytes of the SHA-256 of all parts.
    #[must_use]
    pub fn tag(self) -> Tag {
        let digest = self.0.finish();
        Tag::new(digest.as_ref().first_chunk().copied().unwrap_or_default())
    }
}
