-- Up to which second, by whatever clock, tokens may have been minted with the key: raised before the first of a second is
-- answered, never lowered, and gone with the key.
ALTER TABLE signing_keys ADD COLUMN minted_up_to INTEGER NOT NULL DEFAULT 0;

-- The latest instant, by whatever clock, at which a token of the session was minted.
ALTER TABLE sessions ADD COLUMN minted_at INTEGER NOT NULL DEFAULT 0;

UPDATE sessions SET minted_at = MAX(created_at, rotated_at);

-- What was minted before this was counted: up to the latest instant that the database knows of.
UPDATE signing_keys SET minted_up_to = MAX(
    COALESCE((SELECT MAX(minted_at) FROM sessions), 0),
    COALESCE((SELECT MAX(at) FROM audit), 0),
    COALESCE((SELECT MAX(heard_at) FROM watchers), 0)
) / 1000;

-- In which order the streams were first written down: wall clocks, which may be set, don't tell.
ALTER TABLE watchers ADD COLUMN arrival INTEGER NOT NULL DEFAULT 0;

CREATE INDEX watchers_by_arrival ON watchers (arrival);
