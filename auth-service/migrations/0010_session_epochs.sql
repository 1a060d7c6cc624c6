-- Ending all sessions of an account, or of everybody, is one write: it takes the next epoch. A session that began in an
-- earlier epoch is over. A number and not an instant: a clock that was set back changes nothing.
CREATE TABLE session_epochs (
    only_row   INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    epoch      INTEGER NOT NULL,
    end_before INTEGER NOT NULL,
    ended_at   INTEGER,
    ended_seq  INTEGER
) STRICT;

INSERT INTO session_epochs (only_row, epoch, end_before) VALUES (1, 0, 0);

-- Sessions of the account from before that epoch are over, since that instant, by that entry of the revocation log.
ALTER TABLE accounts ADD COLUMN sessions_end_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN sessions_ended_at INTEGER;
ALTER TABLE accounts ADD COLUMN sessions_ended_seq INTEGER;

-- The epoch in which the session began, and the entry by which it ended alone. NULL: it has not, or did before this migration.
ALTER TABLE sessions ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN ended_seq INTEGER;

-- The sessions of an account that nobody ended one by one, oldest first. Those of former epochs are skipped as one range.
CREATE INDEX live_sessions ON sessions (account_id, epoch, created_at) WHERE revoked_at IS NULL;
