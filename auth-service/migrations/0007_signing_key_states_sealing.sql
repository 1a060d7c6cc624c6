-- A signing key is next, then active, then retired, then gone. It is published from `created_at` on. `wanted_at` says that a
-- rotation to it has been started; it goes through when every verifier can know the key.
ALTER TABLE signing_keys ADD COLUMN wanted_at INTEGER;
ALTER TABLE signing_keys ADD COLUMN active_at INTEGER;
ALTER TABLE signing_keys ADD COLUMN retired_at INTEGER;

UPDATE signing_keys SET active_at = created_at;

-- However many processes try: one key signs, and one comes after it.
CREATE UNIQUE INDEX one_active_signing_key ON signing_keys ((retired_at IS NULL))
    WHERE active_at IS NOT NULL AND retired_at IS NULL;
CREATE UNIQUE INDEX one_next_signing_key ON signing_keys ((active_at IS NULL)) WHERE active_at IS NULL;

-- Which master key all keys are sealed with: `proof` is sealed with it, and `epoch` goes up with each other one.
CREATE TABLE sealing (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    epoch    INTEGER NOT NULL,
    proof    BLOB    NOT NULL
) STRICT;
