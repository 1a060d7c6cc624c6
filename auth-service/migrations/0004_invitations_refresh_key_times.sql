-- From when on a key makes new refresh tokens: a while after it was added, so that every process on this database has it
-- by then. The first one always did.
ALTER TABLE refresh_keys ADD COLUMN signs_from INTEGER NOT NULL DEFAULT 0;

-- Invitations that were not used yet, by the hash of their code. `email` is NULL when anybody may use it.
CREATE TABLE invitations (
    code_hash  BLOB    NOT NULL PRIMARY KEY,
    email      TEXT,
    roles      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX invitations_by_expiry ON invitations (expires_at);
