//! The guarded thing: short texts, each its owner's alone. Who may call is the door's affair; whose a document is, is
//! decided here.
//!
//! - [`document`] — what a document is, and what none may be; pure
//! - [`store`] — documents in the database

pub mod document;
pub mod store;

pub use document::{Content, Document, DocumentId, InvalidContent, MAX_BODY_BYTES, Page, PageSize};
pub use store::{Store, StoreError};
