//! The connections of one port. A port accepts always. When it is full it closes a connection for the next one
//! (`choice`), and it gets impatient before (`patience`).
//!
//! An episode is the time from the first connection that is closed for another, until the port has been a quarter empty for a
//! while. Its begin and its end are one line each in the log, however many connections are closed meanwhile.

mod choice;
pub(crate) mod descriptors;
mod metrics;
mod patience;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::sync::oneshot;

use super::{address::network_of, limits::Limits};
use choice::{Id, Table};

pub(crate) use choice::Chosen;
pub(crate) use metrics::Reason;
pub use metrics::{ConnectionMetrics, ListenerMetrics};
pub(crate) use patience::Patience;

/// All connections of one port.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: Limits,
    patience: Patience,
    metrics: ListenerMetrics,
    state: Mutex<State>,
    open: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    table: Table,
    closers: BTreeMap<Id, oneshot::Sender<Chosen>>,
    episode: Option<Episode>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Episode {
    /// Connections closed so far.
    closed: u64,
    /// Connections closed until the last look.
    closed_before: u64,
}

impl Connections {
    pub(crate) fn new(limits: Limits, metrics: ListenerMetrics) -> Arc<Self> {
        metrics.set_limit(limits.connections);
        metrics.set_open(0);
        let patience = Patience::new(limits.header_timeout, limits.idle_timeout);
        Arc::new(Self { limits, patience, metrics, state: Mutex::default(), open: AtomicUsize::new(0) })
    }

    /// Takes a connection in, and closes one when there are too many. `None` when that is the new one.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let mut state = self.state();
        let id = state.table.add(network_of(peer), self.limits.proxies.trusts(peer));
        let (closer, closed) = oneshot::channel();
        state.closers.insert(id, closer);
        if state.table.len() > self.limits.connections {
            let (chosen, why) = state.table.choose(id);
            self.begin_episode(&mut state);
            self.close(&mut state, chosen, why, why.into());
            if chosen == id {
                return None;
            }
        }
        self.publish(&state);
        drop(state);
        Some(Place { handle: Handle { connections: Arc::clone(self), id }, closed })
    }

    /// Closes an idle connection, so that its file descriptor can be used for another. `false` when none idles.
    pub(crate) fn close_one_idle(&self) -> bool {
        let mut state = self.state();
        let Some(chosen) = state.table.choose_idle() else { return false };
        self.close(&mut state, chosen, Chosen::Idle, Reason::DescriptorsIdle);
        self.publish(&state);
        true
    }

    /// The present time-outs.
    pub(crate) fn patience(&self) -> Patience {
        self.patience.when(self.open.load(Relaxed), self.limits.connections)
    }

    /// Maximum number of connections.
    pub(crate) fn limit(&self) -> usize {
        self.limits.connections
    }

    pub(crate) fn metrics(&self) -> &ListenerMetrics {
        &self.metrics
    }

    fn close(&self, state: &mut State, chosen: Id, why: Chosen, reason: Reason) {
        state.table.remove(chosen);
        // The connection may end by itself at this moment.
        let _ = state.closers.remove(&chosen).map(|closer| closer.send(why));
        if let Some(episode) = &mut state.episode {
            episode.closed += 1;
        }
        self.metrics.count(reason);
    }

    fn begin_episode(&self, state: &mut State) {
        if state.episode.is_some() {
            return;
        }
        state.episode = Some(Episode::default());
        tracing::warn!(
            listener = self.metrics.name(),
            limit = self.limits.connections,
            held.by.one.address = state.table.largest(),
            "the port is full: for each new connection another one is closed"
        );
    }

    /// Ends the episode when a quarter of the port is free, and nothing has been closed since the last call. Called every few
    /// seconds, so that clients who come and go don't fill the log.
    pub(crate) fn settle(&self) {
        let mut state = self.state();
        let is_roomy = state.table.len() <= self.limits.connections - self.limits.connections.div_ceil(4);
        let Some(episode) = &mut state.episode else { return };
        if is_roomy && episode.closed == episode.closed_before {
            tracing::info!(
                listener = self.metrics.name(),
                closed = episode.closed,
                "the port has room again"
            );
            state.episode = None;
        } else {
            episode.closed_before = episode.closed;
        }
    }

    fn publish(&self, state: &State) {
        self.open.store(state.table.len(), Relaxed);
        self.metrics.set_open(state.table.len());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No step leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection. Dropping it makes room.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) handle: Handle,
    /// Receives when the connection has to go, and why. Its place is another one's already.
    pub(crate) closed: oneshot::Receiver<Chosen>,
}

/// One connection among all of its port.
#[derive(Debug)]
pub(crate) struct Handle {
    connections: Arc<Connections>,
    id: Id,
}

impl Handle {
    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Notes whether a request is in flight. `is_busy` is asked under the lock, so that the last one to ask notes the last
    /// state.
    pub(crate) fn note(&self, is_busy: impl FnOnce() -> bool) {
        self.connections.state().table.set_busy(self.id, is_busy());
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.connections.state();
        state.table.remove(self.id);
        state.closers.remove(&self.id);
        self.connections.publish(&state);
    }
}

#[cfg(test)]
pub(crate) mod tests;
