//! Simulated time as services see it. The monotonic clock follows the simulation, and each host's wall clock can be
//! set.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use countermark::clock::{Clock, Timestamp};
use tests::world::BEGINNING;

/// The clocks of one host. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimulatedClock {
    /// Time since the start of the simulation in nanoseconds, for use between two steps, when no host runs.
    between: Arc<AtomicU64>,
    /// Offset of the wall clock in milliseconds.
    offset: Arc<AtomicI64>,
}

impl SimulatedClock {
    /// The clocks of another host in the same simulation.
    pub(crate) fn of_another(&self) -> Self {
        Self { between: Arc::clone(&self.between), offset: Arc::default() }
    }

    pub(crate) fn step_to(&self, elapsed: Duration) {
        self.between.store(elapsed.as_nanos().try_into().unwrap(), SeqCst);
    }

    /// Sets the wall clock `millis` milliseconds ahead of the true time.
    pub(crate) fn set_ahead(&self, millis: i64) {
        self.offset.store(millis, SeqCst);
    }

    pub(crate) fn is_true(&self) -> bool {
        self.offset.load(SeqCst) == 0
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let millis = i64::try_from(self.monotonic().as_millis()).unwrap();
        Timestamp::from_unix_millis(BEGINNING * 1_000 + millis + self.offset.load(SeqCst))
    }

    fn monotonic(&self) -> Duration {
        turmoil::sim_elapsed().unwrap_or_else(|| Duration::from_nanos(self.between.load(SeqCst)))
    }
}
