//! Copies of the database, made and put back. No part of the service is needed: the database may be absent, or behind its mark.

pub use crate::store::backup::{Backup, BackupError, back_up, discard, draft, prepare, put_in_place, size};
