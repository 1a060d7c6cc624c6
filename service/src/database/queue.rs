//! The queue of the writer thread.
//!
//! A write is queued first. The writer thread is notified after all other ready tasks have had a turn, so that their
//! writes share the commit. When no other task is ready, this costs no time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{error::DatabaseError, job::Job};

/// Maximum number of waiting writes. One more is [`DatabaseError::Busy`].
const LENGTH: usize = 1024;

/// Maximum number of writes in one commit.
const GROUP: usize = 128;

/// The waiting writes.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    notified: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Box<dyn Job>>,
    is_notified: bool,
    is_closed: bool,
}

impl State {
    /// Takes the next group, at most [`GROUP`] writes.
    fn take(&mut self) -> Vec<Box<dyn Job>> {
        let size = self.waiting.len().min(GROUP);
        let group = self.waiting.drain(..size).collect();
        self.is_notified = !self.waiting.is_empty();
        group
    }
}

/// A waiting write. Dropping this notifies the writer thread.
#[must_use]
pub(super) struct Waiting<'a>(&'a Queue);

impl Queue {
    /// Adds a write.
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

    /// Accepts no more writes. The waiting ones are still executed.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.notified.notify_one();
    }

    /// Accepts no more writes, and drops the waiting ones, because the writer has ended.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.waiting.clear();
    }

    /// Waits for the next group of writes, in the order of their arrival. Empty when the queue is closed and has no
    /// more writes.
    pub(super) fn next(&self) -> Vec<Box<dyn Job>> {
        let is_nothing =
            |state: &mut State| !state.is_closed && (!state.is_notified || state.waiting.is_empty());
        let mut state =
            self.notified.wait_while(self.state(), is_nothing).unwrap_or_else(PoisonError::into_inner);
        state.take()
    }

    /// The next group. Empty when nothing waits. Does not block.
    pub(super) fn take(&self) -> Vec<Box<dyn Job>> {
        self.state().take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        // The write may have been executed already, in the group of an earlier one.
        if !state.waiting.is_empty() && !state.is_notified {
            state.is_notified = true;
            drop(state);
            self.0.notified.notify_one();
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
    fn writes_that_were_queued_before_the_notification_are_one_group() {
        let queue = Queue::default();
        let [first, second, third] = [(); 3].map(|()| queue.push(Box::new(Nothing)).unwrap());
        drop(first);
        assert_eq!(queue.next().len(), 3);
        drop((second, third));
        assert!(!queue.state().is_notified, "nothing is left to write");
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
