//! The descriptions of `/documents`.

use countermark_service::openapi::{Operation, Reply};
use serde_json::{Value, json};

use super::docs::{Protected, object, private};
use crate::documents::document::{MAX_BODY_BYTES, MAX_TITLE_CHARS};

const READ: &str = "the scope `documents:read`";
const WRITE: &str = "the scope `documents:write`";

/// `UUIDv7` in lower case.
const ID: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";

/// Describes `GET /documents`.
pub(super) fn list() -> Operation {
    let next =
        json!({"type": ["string", "null"], "description": "`after` of the next page, if there is one."});
    let page = object(&json!({"items": {"type": "array", "items": document()}, "next": next}));
    Operation::new("list_documents", "Documents", "Lists the caller's documents, the oldest first.")
        .parameter(
            "query",
            "limit",
            "Maximum number of documents of a page",
            json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
        )
        .parameter(
            "query",
            "after",
            "`next` of the page before. Empty for the first page",
            json!({"type": "string", "pattern": format!("{ID}|^$")}),
        )
        .protected_by(READ)
        .reply(private(Reply::content(200, "A page", "application/json", page)))
}

/// Describes `POST /documents`.
pub(super) fn create() -> Operation {
    let created = Reply::content(201, "The document", "application/json", document());
    Operation::new("create_document", "Documents", "Makes a document.")
        .takes_schema(written())
        .protected_by(WRITE)
        .reply(private(created).with_header("Location", "The path of the document"))
}

/// Describes `GET /documents/{id}`.
pub(super) fn show() -> Operation {
    one("show_document", "Shows a document.").protected_by(READ).reply(private(Reply::content(
        200,
        "The document",
        "application/json",
        document(),
    )))
}

/// Describes `PUT /documents/{id}`.
pub(super) fn replace() -> Operation {
    one("replace_document", "Replaces a document.")
        .takes_schema(written())
        .protected_by(WRITE)
        .reply(private(Reply::content(200, "The document", "application/json", document())))
}

/// Describes `DELETE /documents/{id}`.
pub(super) fn delete() -> Operation {
    one("delete_document", "Deletes a document.")
        .protected_by(WRITE)
        .reply(private(Reply::empty(204, "The document is deleted")))
}

fn one(id: &str, summary: &str) -> Operation {
    Operation::new(id, "Documents", summary)
        .parameter("path", "id", "The `id` of the document", json!({"type": "string"}))
        .reply(Reply::error(404, &["not_found"], "The caller has no such document"))
}

fn written() -> Value {
    let mut written = object(&json!({
        "title": {"type": "string", "minLength": 1, "maxLength": MAX_TITLE_CHARS, "example": "Shopping"},
        "body": {
            "type": "string",
            "maxLength": MAX_BODY_BYTES,
            "description": "At most 10,000 bytes of UTF-8. `maxLength` counts characters, which is the same for ASCII only.",
            "example": "Bread and milk",
        },
    }));
    if let Some(members) = written.as_object_mut() {
        members.insert("additionalProperties".to_owned(), false.into());
    }
    written
}

fn document() -> Value {
    let instant = json!({"type": "string", "format": "date-time"});
    object(&json!({
        "id": {"type": "string", "pattern": ID},
        "title": {"type": "string"},
        "body": {"type": "string"},
        "created_at": instant,
        "updated_at": instant,
    }))
}
