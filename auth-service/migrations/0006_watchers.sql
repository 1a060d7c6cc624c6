-- Watchers of the revocation log, by the process that each is connected to, and the state that each has acknowledged.
--
-- The process increments `beats` whenever it writes the row, and writes it at least each second while the watcher is
-- connected. A reader measures the age of the row on its own clock, from the change of `beats`. `silent_for` and
-- `stale_after` are durations in milliseconds.
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
