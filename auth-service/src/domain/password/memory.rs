//! Working memory of argon2 that is kept between hashes.

use std::fmt;

use ::argon2::Block;

/// Working memory for one hash at a time. Keeping it between hashes saves the kernel from clearing 19 MiB each time.
#[derive(Default)]
pub struct HashMemory(Vec<Block>);

impl HashMemory {
    /// Returns `count` blocks of 1 KiB. Allocates new memory when the size changes.
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
