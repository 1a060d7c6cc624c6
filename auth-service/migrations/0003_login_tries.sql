-- Tries of logins, by who tried: the instant, in milliseconds, at which all of them are forgotten (GCRA's theoretical
-- arrival time). The key is a MAC, for what people type into a login form may be a password in the wrong field.
CREATE TABLE login_tries (
    who          BLOB    NOT NULL PRIMARY KEY,
    forgotten_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX login_tries_by_time ON login_tries (forgotten_at);
