//! The working memory of argon2, kept between hashes.

use std::fmt;

use ::argon2::Block;

/// The working memory of one hash at a time. Kept between hashes it saves the kernel from clearing 19 MiB each time.
#[derive(Default)]
pub struct HashMemory(Vec<Block>);

impl HashMemory {
    /// `count` blocks of 1 KiB. A hash with parameters of its own gets other memory.
    pub(super) fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() != count {
            self.release();
            self.0.resize(count, Block::default());
        }
        &mut self.0
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
