-- The number of changes of audiences and clients. Each process on this database compares it to notice a change.
CREATE TABLE registry (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    version  INTEGER NOT NULL
) STRICT;

INSERT INTO registry (only_row, version) VALUES (1, 0);

-- The hash of the secret that the bootstrap file last declared. While the file declares the same secret, rotated
-- secrets stay.
ALTER TABLE clients ADD COLUMN declared_secret BLOB;

-- Counts the secrets of a client. The newest secret has the highest number.
ALTER TABLE client_secrets ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 0;

-- Assertions that clients have authenticated with, until they expire. Each is accepted once (RFC 7523 §3).
CREATE TABLE assertions (
    client_id  TEXT    NOT NULL,
    jti        BLOB    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, jti)
) STRICT, WITHOUT ROWID;

CREATE INDEX assertions_by_expiry ON assertions (expires_at);
