//! Says in the log that the addresses of clients may be wrong: once for each peer, and for a few peers only. So a stranger
//! can't fill the log.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use super::network_of;

/// Largest number of lines.
const MAX_LINES: usize = 16;

/// Why the address of a client may be another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The peer names its client, but it is no trusted proxy.
    UntrustedPeer,
    /// A trusted proxy names a hop that is no address.
    UnreadableHop,
}

/// The doubts that were logged.
#[derive(Debug, Default)]
pub struct Doubts(Mutex<Vec<(IpAddr, Doubt)>>);

impl Doubts {
    /// Logs the doubt about the clients of `peer`, unless it was logged before.
    pub fn log(&self, peer: IpAddr, doubt: Doubt) {
        if !self.is_new(peer, doubt) {
            return;
        }
        match doubt {
            Doubt::UntrustedPeer => tracing::warn!(
                peer.address = %peer,
                "this peer names its client in X-Forwarded-For or Forwarded, and is not trusted: the header is ignored. If \
                 the peer is your proxy, add its address to the trusted proxies; otherwise all its clients count as one"
            ),
            Doubt::UnreadableHop => tracing::warn!(
                peer.address = %peer,
                "a trusted proxy names a client without an address: such clients count as the proxy, all together. Let the \
                 proxy write the address"
            ),
        }
    }

    fn is_new(&self, peer: IpAddr, doubt: Doubt) -> bool {
        let line = (network_of(peer), doubt);
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = logged.len() < MAX_LINES && !logged.contains(&line);
        if is_new {
            logged.push(line);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_is_warned_of_once_and_the_lines_have_an_end() {
        let doubts = Doubts::default();
        let peer = |number: u8| IpAddr::from([192, 0, 2, number]);
        assert!(doubts.is_new(peer(1), Doubt::UntrustedPeer));
        assert!(!doubts.is_new(peer(1), Doubt::UntrustedPeer));
        assert!(doubts.is_new(peer(1), Doubt::UnreadableHop));
        assert!(doubts.is_new("2001:db8::1".parse().unwrap(), Doubt::UntrustedPeer));
        assert!(!doubts.is_new("2001:db8::2".parse().unwrap(), Doubt::UntrustedPeer));
        let lines = (2..=255).filter(|&number| doubts.is_new(peer(number), Doubt::UntrustedPeer)).count();
        assert_eq!(lines, MAX_LINES - 3);
    }
}
