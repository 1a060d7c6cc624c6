//! A queue that is filled between two steps and read by a host.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::sync::Notify;

/// Clones share the queue.
#[derive(Clone, Debug)]
pub(crate) struct Queue<T>(Arc<(Mutex<VecDeque<T>>, Notify)>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Arc::new((Mutex::default(), Notify::new())))
    }
}

impl<T> Queue<T> {
    pub(crate) fn push(&self, one: T) {
        self.0.0.lock().unwrap().push_back(one);
        self.0.1.notify_one();
    }

    pub(crate) async fn next(&self) -> T {
        loop {
            let next = self.0.0.lock().unwrap().pop_front();
            match next {
                Some(one) => return one,
                None => self.0.1.notified().await,
            }
        }
    }
}
