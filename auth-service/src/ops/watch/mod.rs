//! Watching: verifiers follow the revocation log.
//!
//! - [`stream`] — a watcher's side of the log
//! - [`watchers`] — all watchers, at all processes
//! - [`barrier`] — waits until a revocation holds at every watcher
//! - [`doctor`] — what is wrong with a watcher

pub mod barrier;
pub mod doctor;
pub mod stream;
pub mod watchers;
