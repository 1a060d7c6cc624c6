-- Who watches the revocation log, at which process of this service, and what is known to have reached whom. `beats` goes up
-- whenever that process writes the row, at least each second while the watcher is connected: a reader tells by it, on a clock of
-- its own, how long ago the rest was true. `silent_for` and `stale_after` are spans in milliseconds.
CREATE TABLE watchers (
    process       BLOB    NOT NULL,
    ordinal       INTEGER NOT NULL,
    client_id     TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    version       TEXT    NOT NULL,
    policy        TEXT    NOT NULL,
    stale_after   INTEGER NOT NULL,
    log_id        BLOB    NOT NULL,
    acked_seq     INTEGER NOT NULL,
    acked_key_set TEXT    NOT NULL,
    is_connected  INTEGER NOT NULL,
    connected_at  INTEGER NOT NULL,
    heard_at      INTEGER NOT NULL,
    silent_for    INTEGER NOT NULL,
    clock_offset  INTEGER,
    beats         INTEGER NOT NULL,
    PRIMARY KEY (process, ordinal)
) STRICT, WITHOUT ROWID;

CREATE INDEX watchers_by_name ON watchers (client_id, name);
