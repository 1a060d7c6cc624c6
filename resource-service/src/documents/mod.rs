//! The protected resource: short texts. Only the owner of a document can access it. The HTTP interface decides who
//! may call; this module limits each caller to its own documents.
//!
//! - [`document`] — documents and their limits; pure
//! - [`store`] — documents in the database

pub mod document;
pub mod store;

pub use document::{Content, Document, DocumentId, InvalidContent, MAX_BODY_BYTES, Page, PageSize};
pub use store::{Store, StoreError};
