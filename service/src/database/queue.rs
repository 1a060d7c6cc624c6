//! The queue before the thread that writes.
//!
//! A write is put down first, and the thread told of it once everything else that is ready has had its turn. What those
//! others want to write shares the commit then; with nothing else to do it costs no time at all.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{error::DatabaseError, writer::Job};

/// Writes that may wait; one more is [`DatabaseError::Busy`].
const LENGTH: usize = 1024;

/// Writes in one commit, at most.
const GROUP: usize = 128;

/// The writes that wait.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    told: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Box<dyn Job>>,
    is_told: bool,
    is_closed: bool,
}

/// A write that waits, and of which the thread is told when this is dropped.
#[must_use]
pub(super) struct Waiting<'a>(&'a Queue);

impl Queue {
    /// Puts a write down.
    pub(super) fn push(&self, job: Box<dyn Job>) -> Result<Waiting<'_>, DatabaseError> {
        let mut state = self.state();
        if state.is_closed {
            return Err(DatabaseError::Gone("its thread has ended".to_owned()));
        }
        if state.waiting.len() >= LENGTH {
            return Err(DatabaseError::Busy);
        }
        state.waiting.push(job);
        Ok(Waiting(self))
    }

    /// Lets nothing more in. What waits is still written.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.told.notify_one();
    }

    /// Lets nothing more in, and lets go of what waits: there is nobody who writes.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.waiting.clear();
    }

    /// The next group, in the order in which it came; waits for one. Empty when the queue is closed, and was empty.
    pub(super) fn next(&self) -> Vec<Box<dyn Job>> {
        let is_nothing = |state: &mut State| !state.is_closed && (!state.is_told || state.waiting.is_empty());
        let mut state =
            self.told.wait_while(self.state(), is_nothing).unwrap_or_else(PoisonError::into_inner);
        let size = state.waiting.len().min(GROUP);
        let group = state.waiting.drain(..size).collect();
        state.is_told = !state.waiting.is_empty();
        group
    }

    /// All that waits now; empty when nothing does.
    #[cfg(feature = "test-util")]
    pub(super) fn waiting(&self) -> Vec<Box<dyn Job>> {
        let mut state = self.state();
        state.is_told = false;
        state.waiting.drain(..).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        // It may be written already, together with one that came before it.
        if !state.waiting.is_empty() && !state.is_told {
            state.is_told = true;
            drop(state);
            self.0.told.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    struct Nothing;

    impl Job for Nothing {
        fn run(&mut self, _: &Connection) -> Result<(), DatabaseError> {
            Ok(())
        }

        fn answer(self: Box<Self>, _: &Result<(), DatabaseError>) {}
    }

    #[test]
    fn what_was_put_down_before_the_thread_is_told_is_one_group() {
        let queue = Queue::default();
        let [first, second, third] = [(); 3].map(|()| queue.push(Box::new(Nothing)).unwrap());
        drop(first);
        assert_eq!(queue.next().len(), 3);
        drop((second, third));
        assert!(!queue.state().is_told, "there is nothing to tell");
    }

    #[test]
    fn a_group_and_the_queue_have_an_end() {
        let queue = Queue::default();
        let waiting: Vec<_> = (0..LENGTH).map(|_| queue.push(Box::new(Nothing)).unwrap()).collect();
        assert_eq!(queue.push(Box::new(Nothing)).err(), Some(DatabaseError::Busy));
        drop(waiting);
        assert_eq!(queue.next().len(), GROUP);
        queue.close();
        let closed = DatabaseError::Gone("its thread has ended".to_owned());
        assert_eq!(queue.push(Box::new(Nothing)).err(), Some(closed));
        for _ in 1..LENGTH / GROUP {
            assert_eq!(queue.next().len(), GROUP, "what waits is still written");
        }
        assert_eq!(queue.next().len(), 0);
    }
}
