//! Random bytes that are passed in. No other file draws randomness. One exception: aws-lc generates signing keys by
//! itself.

use std::{fmt::Debug, time::Duration};

/// Source of random bytes.
pub trait Random: Debug + Send + Sync + 'static {
    /// Fills `bytes` with random bytes.
    ///
    /// # Errors
    /// [`Unavailable`] when the system gives none.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Unavailable>;
}

impl dyn Random {
    /// Returns `N` random bytes.
    ///
    /// # Errors
    /// [`Unavailable`] when the system gives none.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], Unavailable> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A random time between half of `span` and all of `span`. It prevents that many waiting clients come back at once.
    /// Returns `span` when the system gives no randomness.
    #[must_use]
    pub fn jittered(&self, span: Duration) -> Duration {
        let [byte] = self.bytes().unwrap_or([u8::MAX]);
        span / 2 + (span / 2).saturating_mul(u32::from(byte)) / u32::from(u8::MAX)
    }
}

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct Unavailable;

/// The random generator of the crypto library, seeded by the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where randomness enters")]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        aws_lc_rs::rand::fill(bytes).map_err(|_| Unavailable)
    }
}

#[cfg(feature = "test-util")]
pub use seeded::SeededRandom;

#[cfg(feature = "test-util")]
mod seeded {
    use std::sync::{Mutex, PoisonError};

    use aws_lc_rs::digest::{SHA256, digest};

    use super::{Random, Unavailable};

    /// Gives the same bytes for the same seed, so that a failed run can be repeated. Never use it in production:
    /// everyone who knows the seed knows the secrets.
    #[derive(Debug)]
    pub struct SeededRandom(Mutex<(u64, u64)>);

    impl SeededRandom {
        /// A source that starts from `seed`.
        #[must_use]
        pub fn new(seed: u64) -> Self {
            Self(Mutex::new((seed, 0)))
        }
    }

    impl Random for SeededRandom {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), Unavailable> {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for chunk in bytes.chunks_mut(32) {
                let block = [state.0.to_be_bytes(), state.1.to_be_bytes()].concat();
                let block = digest(&SHA256, &block);
                chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
                state.1 = state.1.wrapping_add(1);
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Always(u8);

    impl Random for Always {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), Unavailable> {
            bytes.fill(self.0);
            Ok(())
        }
    }

    #[test]
    fn jitter_takes_half_at_most() {
        let jittered = |byte, span| (&Always(byte) as &dyn Random).jittered(span);
        let span = Duration::from_secs(100);
        assert_eq!(jittered(0, span), span / 2);
        assert_eq!(jittered(u8::MAX, span), span);
        assert!((span / 2..span).contains(&jittered(100, span)));
        assert!(jittered(u8::MAX, Duration::MAX) > Duration::MAX / 4, "and never panics");
    }
}
