-- Login attempts by subject. `forgotten_at` is the instant, in milliseconds, at which all of them are forgotten (the
-- theoretical arrival time of GCRA). `who` is a MAC, because users may type a password into the field for the
-- address.
CREATE TABLE login_tries (
    who          BLOB    NOT NULL PRIMARY KEY,
    forgotten_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX login_tries_by_time ON login_tries (forgotten_at);
