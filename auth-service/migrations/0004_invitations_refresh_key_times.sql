-- The instant from which new refresh tokens are derived from the key. It is later than the key's creation, so that
-- every process on this database has read the key by then. 0 for the first key.
ALTER TABLE refresh_keys ADD COLUMN signs_from INTEGER NOT NULL DEFAULT 0;

-- Unused invitations, by the hash of their code. `email` is NULL when anybody may use the code.
CREATE TABLE invitations (
    code_hash  BLOB    NOT NULL PRIMARY KEY,
    email      TEXT,
    roles      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX invitations_by_expiry ON invitations (expires_at);
