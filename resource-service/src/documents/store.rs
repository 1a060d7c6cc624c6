//! Stores documents. Every statement filters by the owner, so that no caller reaches another's documents.

use std::sync::Arc;

use countermark::{
    clock::{Clock, Timestamp},
    random::{Random, Unavailable},
    verify::Opaque,
};
use countermark_service::database::{
    Database, DatabaseError, Migration, Schema,
    rusqlite::{self, Connection, OptionalExtension, Row, named_params},
};

use super::document::{Content, Document, DocumentId, Ordinal, Page, PageSize};

/// The schema. Its application id, `TRes` in ASCII, distinguishes our file from another program's.
pub const SCHEMA: Schema = Schema {
    application_id: 0x5452_6573,
    migrations: &[Migration { name: "documents", sql: include_str!("../../migrations/0001_documents.sql") }],
};

/// A document could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The system gave no random bytes for an id.
    #[error(transparent)]
    Random(#[from] Unavailable),
}

/// The documents of all owners. Clones share them.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: Database,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Store {
    /// A store in `database`, which was opened with [`SCHEMA`].
    #[must_use]
    pub fn new(database: Database, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self(Arc::new(Inner { database, clock, random }))
    }

    /// A page of the documents of `owner`. It begins after the document `after`, which need not exist any more, or
    /// with the first document.
    pub fn list(
        &self,
        owner: &Opaque,
        after: Option<DocumentId>,
        size: PageSize,
    ) -> Result<Page, StoreError> {
        let found = self.0.database.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, title, body, created_at, updated_at FROM documents
                 WHERE owner = :owner AND id > :after ORDER BY id LIMIT :limit",
            )?;
            let rows = select.query_map(
                named_params! {
                    ":owner": owner.as_str(),
                    ":after": after.as_ref().map_or(&[][..], |id| id.as_bytes()),
                    ":limit": u16::from(size.get()) + 1,
                },
                document,
            )?;
            Ok::<_, DatabaseError>(rows.collect::<Result<Vec<_>, _>>()?)
        })?;
        Ok(Page::of(found, size))
    }

    /// Stores a new document of `owner`.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails, or when the system gives no random bytes.
    pub async fn create(&self, owner: &Opaque, content: Content) -> Result<Document, StoreError> {
        let random = self.0.random.bytes()?;
        let (now, owner) = (self.0.clock.now(), owner.clone());
        let created = self.0.database.write(move |connection| {
            let id = DocumentId::new(next_ordinal(connection, now)?, random);
            insert(connection, &owner, id, &content, now)?;
            Ok::<_, DatabaseError>(Document { id, content, created_at: now, updated_at: now })
        });
        Ok(created.await?)
    }

    /// The document `id` of `owner`. `None` when the owner has no such document.
    pub fn find(&self, owner: &Opaque, id: DocumentId) -> Result<Option<Document>, StoreError> {
        let found = self.0.database.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, title, body, created_at, updated_at FROM documents
                 WHERE id = :id AND owner = :owner",
            )?;
            let params = named_params! { ":id": id.as_bytes().as_slice(), ":owner": owner.as_str() };
            Ok::<_, DatabaseError>(select.query_row(params, document).optional()?)
        })?;
        Ok(found)
    }

    /// Replaces the content of the document `id` of `owner`. `None` when the owner has no such document.
    pub async fn replace(
        &self,
        owner: &Opaque,
        id: DocumentId,
        content: Content,
    ) -> Result<Option<Document>, StoreError> {
        let (now, owner) = (self.0.clock.now(), owner.clone());
        let replaced = self.0.database.write(move |connection| {
            let mut update = connection.prepare_cached(
                "UPDATE documents SET title = :title, body = :body, updated_at = :now
                 WHERE id = :id AND owner = :owner
                 RETURNING id, title, body, created_at, updated_at",
            )?;
            let params = named_params! {
                ":title": content.title(),
                ":body": content.body(),
                ":now": now.unix_millis(),
                ":id": id.as_bytes().as_slice(),
                ":owner": owner.as_str(),
            };
            Ok::<_, DatabaseError>(update.query_row(params, document).optional()?)
        });
        Ok(replaced.await?)
    }

    /// Deletes the document `id` of `owner`. `false` when the owner has no such document.
    pub async fn delete(&self, owner: &Opaque, id: DocumentId) -> Result<bool, StoreError> {
        let owner = owner.clone();
        let deleted = self.0.database.write(move |connection| {
            let mut delete =
                connection.prepare_cached("DELETE FROM documents WHERE id = :id AND owner = :owner")?;
            let params = named_params! { ":id": id.as_bytes().as_slice(), ":owner": owner.as_str() };
            Ok::<_, DatabaseError>(delete.execute(params)?)
        });
        Ok(deleted.await? > 0)
    }
}

/// An ordinal greater than all others, even when the clock was set back or several processes write. So a client that
/// reads page by page sees every document that existed at the start, and every one added since.
fn next_ordinal(connection: &Connection, now: Timestamp) -> Result<Ordinal, DatabaseError> {
    let mut next = connection
        .prepare_cached("UPDATE ordinals SET last = max(last + 1, :now) WHERE only = 1 RETURNING last")?;
    let last = next.query_row(named_params! { ":now": Ordinal::at(now).number() }, |row| row.get(0))?;
    Ok(Ordinal::from_number(last))
}

fn insert(
    connection: &Connection,
    owner: &Opaque,
    id: DocumentId,
    content: &Content,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO documents (id, owner, title, body, created_at, updated_at)
         VALUES (:id, :owner, :title, :body, :now, :now)",
    )?;
    insert.execute(named_params! {
        ":id": id.as_bytes().as_slice(),
        ":owner": owner.as_str(),
        ":title": content.title(),
        ":body": content.body(),
        ":now": now.unix_millis(),
    })?;
    Ok(())
}

fn document(row: &Row<'_>) -> rusqlite::Result<Document> {
    let content = Content::stored(row.get("title")?, row.get("body")?);
    Ok(Document {
        id: DocumentId::from_bytes(row.get("id")?),
        content,
        created_at: Timestamp::from_unix_millis(row.get("created_at")?),
        updated_at: Timestamp::from_unix_millis(row.get("updated_at")?),
    })
}
