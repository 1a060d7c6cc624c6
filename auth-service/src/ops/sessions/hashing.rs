//! The hashing lane: a few threads of lower priority behind a bounded queue. A hash takes 14 ms of a core and 19 MiB.
//! Without the lane a flood of logins would take all cores and all memory, and every other request would wait.

use std::{
    collections::VecDeque,
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    domain::password::{self, Attempt, HashMemory, Match, Password, PasswordHash},
    ops::{Fault, error::Overloaded},
};

/// A thread that was idle for that long gives its memory back.
const KEEP_MEMORY: Duration = Duration::from_millis(500);

/// The niceness of the lane: lower priority than the rest of the process.
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce(&mut HashMemory) + Send>;

/// The lane. It ends when the last handle is dropped.
pub struct HashingLane(Arc<Queue>);

struct Queue {
    jobs: Mutex<Jobs>,
    changed: Condvar,
    /// The most jobs that run or wait.
    limit: usize,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    under_way: usize,
    is_closed: bool,
}

impl HashingLane {
    /// A lane of `slots` threads, before which at most `queue` jobs wait.
    #[must_use]
    pub fn new(slots: usize, queue: usize) -> Self {
        let lane = Arc::new(Queue { jobs: Mutex::default(), changed: Condvar::new(), limit: slots + queue });
        for slot in 0..slots {
            let queue = Arc::clone(&lane);
            let spawned = thread::Builder::new().name(format!("hash-{slot}")).spawn(move || work(&queue));
            if let Err(error) = spawned {
                tracing::error!(%error, "a hashing thread can't be started");
            }
        }
        Self(lane)
    }

    /// How many passwords are being hashed, and how many wait.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        let jobs = self.0.jobs();
        (jobs.under_way, jobs.waiting.len())
    }

    /// Hashes `password` with `salt`, which is random.
    ///
    /// # Errors
    /// [`Fault::Defect`] when a thread died; within, [`Overloaded`] when the queue is full.
    pub async fn hash(
        &self,
        password: Password,
        salt: [u8; 16],
    ) -> Result<Result<PasswordHash, Overloaded>, Fault> {
        let hashed = self.run(move |memory| password::hash(&password, salt, memory)).await?;
        match hashed {
            Ok(Ok(hash)) => Ok(Ok(hash)),
            Ok(Err(_)) => Err(Fault::Defect("a password can't be hashed")),
            Err(overloaded) => Ok(Err(overloaded)),
        }
    }

    /// Whether `attempt` is the password that `hash` was made of.
    pub async fn is_right(
        &self,
        attempt: Attempt,
        hash: PasswordHash,
    ) -> Result<Result<Match, Overloaded>, Fault> {
        self.run(move |memory| password::is_right(&attempt, &hash, memory)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut HashMemory) -> T + Send + 'static,
    ) -> Result<Result<T, Overloaded>, Fault> {
        let (answer, answered) = oneshot::channel();
        let queue = Arc::clone(&self.0);
        let pushed = self.0.push(Box::new(move |memory| {
            let slot = Slot(queue);
            // When the caller has hung up, nobody waits for the result.
            let done = (!answer.is_closed()).then(|| work(memory));
            // The slot is free before the answer is sent, so that a caller that has its answer finds a free slot.
            drop(slot);
            if let Some(done) = done {
                drop(answer.send(done));
            }
        }));
        if let Err(overloaded) = pushed {
            return Ok(Err(overloaded));
        }
        answered.await.map(Ok).map_err(|_| Fault::Defect("a hashing thread died"))
    }
}

impl Queue {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) -> Result<(), Overloaded> {
        let mut jobs = self.jobs();
        if jobs.waiting.len() + jobs.under_way >= self.limit {
            return Err(Overloaded);
        }
        jobs.waiting.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for the next job, and gives `memory` back meanwhile. `None` when the lane is closed.
    fn next(&self, memory: &mut HashMemory) -> Option<Job> {
        let jobs = self.jobs();
        let (mut jobs, waited) = self
            .changed
            .wait_timeout_while(jobs, KEEP_MEMORY, |jobs| jobs.waiting.is_empty() && !jobs.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            *memory = HashMemory::default();
            jobs = self
                .changed
                .wait_while(jobs, |jobs| jobs.waiting.is_empty() && !jobs.is_closed)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if jobs.is_closed {
            return None;
        }
        jobs.under_way += 1;
        jobs.waiting.pop_front()
    }
}

/// A slot that is taken by a job, until it is dropped.
struct Slot(Arc<Queue>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.jobs().under_way -= 1;
    }
}

impl Drop for HashingLane {
    fn drop(&mut self) {
        self.0.jobs().is_closed = true;
        self.0.changed.notify_all();
    }
}

impl fmt::Debug for HashingLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashingLane({} waiting)", self.0.jobs().waiting.len())
    }
}

fn work(queue: &Queue) {
    // On Linux each thread has its own priority. Where it can't be lowered, hashing runs at the normal one.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
    let mut memory = HashMemory::default();
    while let Some(job) = queue.next(&mut memory) {
        // A panic is logged by the panic hook, and answered as a defect. The thread goes on with fresh memory.
        if panic::catch_unwind(AssertUnwindSafe(|| job(&mut memory))).is_err() {
            memory = HashMemory::default();
        }
    }
}
