//! The hashing lane: a few threads of lower priority with a bounded queue before them. A hash takes 14 ms of a core and
//! 19 MiB; without the lane a flood of logins would take all of both, and everything else would wait for it.

use std::{
    collections::VecDeque,
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

use crate::domain::password::{self, Attempt, HashMemory, Password, PasswordHash};
use crate::ops::Error;

/// A thread that had nothing to do for that long gives its memory back.
const KEEP_MEMORY: Duration = Duration::from_millis(500);

/// How much nicer than the rest of the process the lane is.
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce(&mut HashMemory) + Send>;

/// The lane. It ends when the last handle is dropped.
pub struct HashingLane(Arc<Queue>);

struct Queue {
    jobs: Mutex<Jobs>,
    changed: Condvar,
    /// How many jobs may be under way or waiting.
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

    /// Hashes `password` with `salt`, which is random.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the queue is full.
    pub async fn hash(&self, password: Password, salt: [u8; 16]) -> Result<PasswordHash, Error> {
        self.run(move |memory| password::hash(&password, salt, memory))
            .await?
            .map_err(|_| Error::Defect("a password can't be hashed"))
    }

    /// Whether `attempt` is the password that `hash` was made of.
    ///
    /// # Errors
    /// [`Error::Overloaded`] when the queue is full.
    pub async fn is_right(&self, attempt: Attempt, hash: PasswordHash) -> Result<bool, Error> {
        self.run(move |memory| password::is_right(&attempt, &hash, memory)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut HashMemory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let queue = Arc::clone(&self.0);
        self.0.push(Box::new(move |memory| {
            let slot = Slot(queue);
            // Nobody waits any more when the caller hung up: then the work is not worth doing.
            let done = (!answer.is_closed()).then(|| work(memory));
            // Free before the answer is known, so that whoever got one finds a slot free.
            drop(slot);
            if let Some(done) = done {
                drop(answer.send(done));
            }
        }))?;
        answered.await.map_err(|_| Error::Defect("a hashing thread died"))
    }
}

impl Queue {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) -> Result<(), Error> {
        let mut jobs = self.jobs();
        if jobs.waiting.len() + jobs.under_way >= self.limit {
            return Err(Error::Overloaded);
        }
        jobs.waiting.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// The next job; waits for one, and meanwhile gives `memory` back. `None` when the lane is closed.
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
    // On Linux a priority is a thread's own. Where it can't be lowered, hashing competes on equal terms.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
    let mut memory = HashMemory::default();
    while let Some(job) = queue.next(&mut memory) {
        // A panic is logged where panics are, and answered as a defect; the slot goes on with memory of its own.
        if panic::catch_unwind(AssertUnwindSafe(|| job(&mut memory))).is_err() {
            memory = HashMemory::default();
        }
    }
}
