-- Counts up with every change of audiences and clients, so that each process on this database notices it.
CREATE TABLE registry (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    version  INTEGER NOT NULL
) STRICT;

INSERT INTO registry (only_row, version) VALUES (1, 0);

-- The hash of the secret that the bootstrap file gave the client last: while the file says the same, a secret that was
-- rotated since stays.
ALTER TABLE clients ADD COLUMN declared_secret BLOB;

-- Counts up with each secret of a client: the newest has the highest.
ALTER TABLE client_secrets ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 0;

-- Assertions that clients have authenticated with, until they expire: each is good once (RFC 7523 §3).
CREATE TABLE assertions (
    client_id  TEXT    NOT NULL,
    jti        BLOB    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, jti)
) STRICT, WITHOUT ROWID;

CREATE INDEX assertions_by_expiry ON assertions (expires_at);
