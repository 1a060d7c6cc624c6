-- The states of a signing key are next, active, retired, removed. The key is published from `created_at` on.
-- `wanted_at` is set when a rotation to the key has been started. The rotation completes when every verifier can have
-- the key.
ALTER TABLE signing_keys ADD COLUMN wanted_at INTEGER;
ALTER TABLE signing_keys ADD COLUMN active_at INTEGER;
ALTER TABLE signing_keys ADD COLUMN retired_at INTEGER;

UPDATE signing_keys SET active_at = created_at;

-- At most one key is active and one is next, however many processes change them at once.
CREATE UNIQUE INDEX one_active_signing_key ON signing_keys ((retired_at IS NULL))
    WHERE active_at IS NOT NULL AND retired_at IS NULL;
CREATE UNIQUE INDEX one_next_signing_key ON signing_keys ((active_at IS NULL)) WHERE active_at IS NULL;

-- The master key that seals all keys. `proof` is sealed with it. `epoch` goes up by one with each new master key.
CREATE TABLE sealing (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    epoch    INTEGER NOT NULL,
    proof    BLOB    NOT NULL
) STRICT;
