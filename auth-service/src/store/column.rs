//! Columns that several tables have.

use countermark::verify::Tag;
use rusqlite::Row;

/// The tag in that column. NULL and no bytes are [`Tag::UNKNOWN`].
pub(super) fn tag(row: &Row<'_>, column: usize) -> rusqlite::Result<Tag> {
    let bytes: Option<Vec<u8>> = row.get(column)?;
    Ok(Tag::try_from(&*bytes.unwrap_or_default()).unwrap_or_default())
}
