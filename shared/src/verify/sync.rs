//! Locks and atomics: the standard library's; those of a model checker when one runs the models (`tests/models/run`), so that it
//! can try every order in which threads may meet there.

#[cfg(all(loom, test))]
pub(crate) use loom::sync::{Mutex, RwLock, atomic::AtomicU64};

#[cfg(not(all(loom, test)))]
pub(crate) use std::sync::{Mutex, RwLock, atomic::AtomicU64};
