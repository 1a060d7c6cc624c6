//! The working memory of argon2, kept between hashes.

use std::fmt;

use ::argon2::Block;

/// The working memory of one hash at a time. Kept between hashes it saves the kernel from clearing 19 MiB each time.
#[derive(Default)]
pub struct HashMemory(Vec<Block>);

impl HashMemory {
    /// The capacity is reserved, not touched, beyond what glibc ever serves from its heap (32 MiB): the block is mapped
    /// on its own, so that dropping it gives the memory back to the system at once.
    const CAPACITY: usize = 40 * 1_024;

    /// `count` blocks of 1 KiB. What a foreign hash needs beyond our own goes back to the system with the next of ours.
    pub(super) fn blocks(&mut self, count: usize) -> &mut [Block] {
        let capacity = count.max(Self::CAPACITY);
        if self.0.capacity() != capacity {
            self.0 = Vec::new();
            self.0.reserve_exact(capacity);
        }
        if self.0.len() < count {
            self.0.resize(count, Block::default());
        }
        &mut self.0[..count]
    }

    /// Gives the memory back to the system.
    pub(super) fn release(&mut self) {
        self.0 = Vec::new();
    }
}

impl fmt::Debug for HashMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashMemory({} KiB)", self.0.len())
    }
}
