//! A host that makes no progress while time passes, like a process between SIGSTOP and SIGCONT. Everything on the host
//! is polled through a gate, and waits while the gate is closed.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use hyper::rt::Executor;

/// The gate of one host. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    waiting: Vec<Waker>,
}

/// A future that runs on the host.
pub(crate) struct Gated<F> {
    gate: Gate,
    inner: Pin<Box<F>>,
}

impl Gate {
    pub(crate) fn close(&self) {
        self.0.lock().unwrap().is_closed = true;
    }

    pub(crate) fn open(&self) {
        let mut state = self.0.lock().unwrap();
        state.is_closed = false;
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().unwrap().is_closed
    }

    pub(crate) fn hold<F: Future>(&self, inner: F) -> Gated<F> {
        Gated { gate: self.clone(), inner: Box::pin(inner) }
    }
}

impl<F: Future> Future for Gated<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut state = self.gate.0.lock().unwrap();
        if state.is_closed {
            state.waiting.push(context.waker().clone());
            return Poll::Pending;
        }
        drop(state);
        self.inner.as_mut().poll(context)
    }
}

impl<F> Executor<F> for Gate
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        tokio::spawn(self.hold(future));
    }
}
