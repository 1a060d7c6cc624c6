//! Limits of a listener, and the mark of an answer that may go on for long.

use std::time::Duration;

use super::address::TrustedProxies;

/// The limits of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of connections. When there is a further one, the one that idles longest of the address that holds most
    /// is closed. 4096 by default.
    pub connections: usize,
    /// The proxies whose connections count one by one, because they are those of many clients. None by default.
    pub proxies: TrustedProxies,
    /// Maximum time for a request head. It starts with the connection (before a TLS handshake), or with the first
    /// byte of a later head. 10 s by default. From half the connections on it shrinks, to a quarter at all of them.
    pub header_timeout: Duration,
    /// Maximum time between requests, and for the client to receive an answer. 60 s by default. From half the connections
    /// on it shrinks, to an eighth at all of them.
    pub idle_timeout: Duration,
    /// The largest request head, in bytes. A larger one gets 431. 32 KiB by default, at least 8 KiB.
    pub header_bytes: usize,
    /// Maximum number of HTTP/2 streams on one connection. 256 by default.
    pub streams: u32,
    /// Maximum time for the requests in flight after the stop. The rest is dropped then. 8 s by default.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            proxies: TrustedProxies::default(),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(1),
            header_bytes: 32 * 1024,
            streams: 256,
            drain: Duration::from_secs(8),
        }
    }
}

/// An extension of an answer whose body lasts as long as the client wants. The connection does not count as idle
/// meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct LongAnswer;
