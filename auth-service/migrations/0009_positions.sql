-- Tags make the revocation log a chain: tag(n) depends on tag(n-1), on 8 random bytes, and on entry n. A log that was set back,
-- and went on, has another tag at the same number. NULL for entries from before this migration.
ALTER TABLE revocations ADD COLUMN random BLOB;
ALTER TABLE revocations ADD COLUMN tag BLOB;

-- The tag of the newest entry. Where a log begins, its id is the tag. `begins_at` is the number of the last entry before it.
ALTER TABLE revocation_log ADD COLUMN tag BLOB NOT NULL DEFAULT x'';
ALTER TABLE revocation_log ADD COLUMN begins_at INTEGER NOT NULL DEFAULT 0;
UPDATE revocation_log SET tag = log_id, begins_at = head;

-- Why the database is known to have lost writes: a sentence. NULL: it is not. Then nothing is written until it was recovered.
-- `went_back_log` is the log that shows it, when that is another one.
ALTER TABLE revocation_log ADD COLUMN went_back TEXT;
ALTER TABLE revocation_log ADD COLUMN went_back_log BLOB;

-- Counts the write transactions. The mark outside the database holds it, too.
ALTER TABLE revocation_log ADD COLUMN writes INTEGER NOT NULL DEFAULT 0;

-- The tags of swept entries. A verifier may stand at one.
CREATE TABLE swept_tags (
    seq      INTEGER NOT NULL PRIMARY KEY,
    random   BLOB    NOT NULL,
    tag      BLOB    NOT NULL,
    swept_at INTEGER NOT NULL
) STRICT;

CREATE INDEX swept_tags_by_time ON swept_tags (swept_at);

-- The logs that were given up. The log after one begins at the number where that one ended.
CREATE TABLE former_logs (
    log_id   BLOB    NOT NULL PRIMARY KEY,
    head     INTEGER NOT NULL,
    tag      BLOB    NOT NULL,
    ended_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The key that proves positions of the log to their watchers, sealed with the master key.
CREATE TABLE proof_key (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    sealed   BLOB    NOT NULL
) STRICT;

-- The signature algorithms that a watcher can verify, as a JSON array. NULL: RS256 alone.
ALTER TABLE watchers ADD COLUMN algorithms TEXT;
