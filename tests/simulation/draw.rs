//! Random choices that a seed determines.

use std::{ops::Range, time::Duration};

use countermark::random::{Random as _, SeededRandom};

#[derive(Debug)]
pub(crate) struct Draw(SeededRandom);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededRandom::new(seed))
    }

    pub(crate) fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).unwrap();
        u64::from_be_bytes(bytes)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % u64::try_from(end).unwrap()).unwrap()
    }

    /// Returns true with the probability 1 / `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn millis(&mut self, span: Range<usize>) -> Duration {
        let millis = span.start + self.below(span.len());
        Duration::from_millis(millis.try_into().unwrap())
    }

    pub(crate) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}
