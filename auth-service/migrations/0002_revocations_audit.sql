-- When a session was ended before its time; NULL while it goes on.
ALTER TABLE sessions ADD COLUMN revoked_at INTEGER;

-- The head of the revocation log: one row. The log has a random id, so that a restored backup can't pass for its own
-- future. `longest_ttl` is the longest lifetime, in seconds, that an access token was ever minted with.
CREATE TABLE revocation_log (
    only_row    INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    log_id      BLOB    NOT NULL,
    head        INTEGER NOT NULL,
    longest_ttl INTEGER NOT NULL
) STRICT;

-- The revocation log. `before_at` is in seconds, as `iat` is; an entry without `expires_at` never expires.
CREATE TABLE revocations (
    seq        INTEGER NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    before_at  INTEGER,
    expires_at INTEGER
) STRICT;

CREATE INDEX revocations_by_expiry ON revocations (expires_at);

-- Who did what from where. Append-only; never a secret in it.
CREATE TABLE audit (
    id         INTEGER NOT NULL PRIMARY KEY,
    at         INTEGER NOT NULL,
    event      TEXT    NOT NULL,
    account_id BLOB,
    session_id BLOB,
    client_id  TEXT,
    address    TEXT,
    user_agent TEXT,
    detail     TEXT
) STRICT;

CREATE INDEX audit_by_time ON audit (at);
