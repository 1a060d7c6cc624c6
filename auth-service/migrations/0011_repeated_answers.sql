-- How often the present refresh token was answered again, and the audit entry that says so. NULL: not yet.
ALTER TABLE sessions ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN repeats_audited INTEGER;
