//! What the database engine has counted, for tests: how often it ran a statement, and how many commits its log holds.

use std::fs;

use rusqlite::StatementStatus;

use super::{Store, StoreError, accounts, sessions};

impl Store {
    /// How often accounts and sessions were read one by one, since the store was opened.
    pub(crate) fn reads(&self) -> Reads {
        Reads {
            accounts: self.runs(accounts::BY_EMAIL) + self.runs(accounts::BY_ID),
            sessions: self.runs(sessions::BY_ID),
        }
    }

    /// How many commits the write-ahead log holds: a frame that ends one says so (SQLite's file format, §4.1).
    pub(crate) fn commits(&self) -> usize {
        const HEADER: usize = 32;
        const FRAME_HEADER: usize = 24;
        let log = fs::read(self.database.path().with_extension("db-wal")).unwrap();
        let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
        let (page, salt) = (number(8) as usize, (number(16), number(20)));
        let frames = (HEADER..).step_by(FRAME_HEADER + page);
        frames
            .take_while(|at| at + FRAME_HEADER + page <= log.len())
            .filter(|at| (number(at + 8), number(at + 12)) == salt && number(at + 4) != 0)
            .count()
    }

    /// One connection does the reads of a test that reads one thing after the other.
    fn runs(&self, statement: &str) -> i32 {
        let runs = self.database.read(|connection| {
            Ok::<_, StoreError>(connection.prepare_cached(statement)?.get_status(StatementStatus::Run))
        });
        runs.unwrap()
    }
}

/// How often rows were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reads {
    pub(crate) accounts: i32,
    pub(crate) sessions: i32,
}
