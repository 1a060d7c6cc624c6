-- Instants are milliseconds since 1970-01-01T00:00:00Z. Ids of accounts and sessions are the 16 bytes of a UUID.
-- Lists of words (roles, scopes, grants, audiences) are JSON arrays.

CREATE TABLE accounts (
    id            BLOB    NOT NULL PRIMARY KEY,
    email         TEXT    NOT NULL UNIQUE,
    password_hash TEXT    NOT NULL,
    roles         TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    disabled_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id         BLOB    NOT NULL PRIMARY KEY,
    account_id BLOB    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    client_id  TEXT    NOT NULL,
    secret     BLOB    NOT NULL,
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    rotated_at INTEGER NOT NULL,
    user_agent TEXT,
    address    TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_account ON sessions (account_id);

-- Private signing keys, sealed with the master key.
CREATE TABLE signing_keys (
    kid        TEXT    NOT NULL PRIMARY KEY,
    sealed     BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Keys that refresh tokens are derived from, sealed with the master key.
CREATE TABLE refresh_keys (
    version    INTEGER NOT NULL PRIMARY KEY,
    sealed     BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE audiences (
    id TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- A scope belongs to one audience.
CREATE TABLE scopes (
    name        TEXT    NOT NULL PRIMARY KEY,
    audience_id TEXT    NOT NULL REFERENCES audiences (id) ON DELETE CASCADE,
    is_default  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE clients (
    id          TEXT    NOT NULL PRIMARY KEY,
    grants      TEXT    NOT NULL,
    scopes      TEXT    NOT NULL,
    audiences   TEXT    NOT NULL,
    roles       TEXT    NOT NULL,
    jwks        TEXT,
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE client_secrets (
    client_id  TEXT    NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    hash       BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, hash)
) STRICT, WITHOUT ROWID;
