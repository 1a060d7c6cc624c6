-- The instant at which the session was ended before its lifetime was over. NULL while it goes on.
ALTER TABLE sessions ADD COLUMN revoked_at INTEGER;

-- The head of the revocation log, in one row. The log has a random id, so that a restored backup is not taken for the
-- log that verifiers followed. `longest_ttl` is the longest lifetime of any access token so far, in seconds.
CREATE TABLE revocation_log (
    only_row    INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    log_id      BLOB    NOT NULL,
    head        INTEGER NOT NULL,
    longest_ttl INTEGER NOT NULL
) STRICT;

-- The revocation log. `before_at` is in seconds, like `iat`. An entry without `expires_at` never expires.
CREATE TABLE revocations (
    seq        INTEGER NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    before_at  INTEGER,
    expires_at INTEGER
) STRICT;

CREATE INDEX revocations_by_expiry ON revocations (expires_at);

-- The audit trail. Append-only. It never holds a secret.
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
