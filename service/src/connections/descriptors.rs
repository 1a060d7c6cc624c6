//! File descriptors of the process. Each connection takes one, and the database, its files and connections to others need
//! some, too.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The descriptors that no connection may take: this many, or half of a small limit.
const RESERVE: u64 = 128;

/// Raises the limit of open files to the most that the system permits, and returns how many connections all
/// ports may have together, beside a reserve for everything else.
pub(crate) fn raise() -> usize {
    let before = getrlimit(Resource::Nofile);
    // A refusal leaves the limit as it is.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, ..before });
    let limit = if raised.is_ok() { before.maximum } else { before.current };
    limit.map_or(usize::MAX, |limit| usize::try_from(limit - RESERVE.min(limit / 2)).unwrap_or(usize::MAX))
}

/// Shares `available` connections among `ports` public ports and the operations port. `wanted` is what each of the public
/// ports and what the operations port ask for. When that is too much, each gets its part in proportion, and at least a few.
pub(crate) fn share(available: usize, wanted: (usize, usize), ports: usize) -> (usize, usize) {
    const FEW: usize = 8;
    let sum = wanted.0 as u128 * ports as u128 + wanted.1 as u128;
    if sum <= available as u128 {
        return wanted;
    }
    let part = |each: usize| {
        usize::try_from(each as u128 * available as u128 / sum).unwrap_or(each).max(each.min(FEW))
    };
    (part(wanted.0), part(wanted.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_get_what_they_ask_for_or_their_part() {
        assert_eq!(share(10_000, (4_096, 256), 2), (4_096, 256));
        assert_eq!(share(896, (4_096, 256), 2), (434, 27));
        assert_eq!(share(0, (4_096, 256), 1), (8, 8));
        assert_eq!(share(10, (20, 2), 2), (8, 2));
        assert_eq!(share(usize::MAX, (1_000_000, 256), 2), (1_000_000, 256));
    }

    #[test]
    fn the_limit_can_be_raised_again_and_again() {
        assert!(raise() >= 1);
        assert_eq!(raise(), raise());
    }
}
