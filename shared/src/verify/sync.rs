//! Locks and atomics of the standard library. Under the model checker (`tests/models/run`) they are the checker's own, so
//! that it can try every order of threads.

#[cfg(all(loom, test))]
pub(crate) use loom::sync::{Mutex, RwLock, atomic::AtomicU64};

#[cfg(not(all(loom, test)))]
pub(crate) use std::sync::{Mutex, RwLock, atomic::AtomicU64};
