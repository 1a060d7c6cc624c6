-- Texts of users, each its owner's alone. `id` is a UUID in its 16 bytes; it grows with each new document, so it is the
-- order of lists, and the last one seen is where the next page begins. Instants are milliseconds since 1970.
CREATE TABLE documents (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    owner      TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX documents_by_owner ON documents (owner, id);

-- The ordinal of the youngest id ever made, so that the next one lies past it whatever the clock says and whatever was
-- deleted in between.
CREATE TABLE ordinals (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    last INTEGER NOT NULL
) STRICT;

INSERT INTO ordinals (only, last) VALUES (1, 0);
