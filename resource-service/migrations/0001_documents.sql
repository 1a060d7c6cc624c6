-- Documents. Only the owner can access a document. `id` is the 16 bytes of a UUID. Ids grow with each new document,
-- so lists are ordered by id, and the last id of a page is where the next page begins. Instants are milliseconds
-- since 1970.
CREATE TABLE documents (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    owner      TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX documents_by_owner ON documents (owner, id);

-- The ordinal of the newest id. The next ordinal is greater, even when the clock was set back or documents were
-- deleted.
CREATE TABLE ordinals (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    last INTEGER NOT NULL
) STRICT;

INSERT INTO ordinals (only, last) VALUES (1, 0);
