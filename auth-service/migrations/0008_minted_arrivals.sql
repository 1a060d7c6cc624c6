-- The mint watermark: the largest `iat`, in seconds, that any token of the key may carry. It is raised before a token
-- is minted and never lowered. It is deleted with the key.
ALTER TABLE signing_keys ADD COLUMN minted_up_to INTEGER NOT NULL DEFAULT 0;

-- The latest instant at which a token of the session was minted, by the clock at that time.
ALTER TABLE sessions ADD COLUMN minted_at INTEGER NOT NULL DEFAULT 0;

UPDATE sessions SET minted_at = MAX(created_at, rotated_at);

-- For tokens from before this migration, the watermark is the latest instant in the database.
UPDATE signing_keys SET minted_up_to = MAX(
    COALESCE((SELECT MAX(minted_at) FROM sessions), 0),
    COALESCE((SELECT MAX(at) FROM audit), 0),
    COALESCE((SELECT MAX(heard_at) FROM watchers), 0)
) / 1000;

-- The order in which the streams were first stored. Wall clocks may be set, so they don't give the order.
ALTER TABLE watchers ADD COLUMN arrival INTEGER NOT NULL DEFAULT 0;

CREATE INDEX watchers_by_arrival ON watchers (arrival);
