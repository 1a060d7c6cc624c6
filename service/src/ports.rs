//! The limits of all ports of a service, within the file descriptors that the process may have.

use super::{address::TrustedProxies, connections::descriptors, limits::Limits};

/// The limits of all ports of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortLimits {
    /// The limits of each public port.
    pub public: Limits,
    /// The limits of the operations port. It has at most 256 connections, so it can't take the file descriptors of others.
    pub ops: Limits,
}

impl PortLimits {
    /// Limits for `ports` public ports with `connections` connections each, of which those of `proxies` count one by one.
    /// There are fewer, and the log says so, when the process may not open as many files.
    #[must_use]
    pub fn new(connections: usize, ports: usize, proxies: TrustedProxies) -> Self {
        const OPS: usize = 256;
        let wanted = (connections, connections.min(OPS));
        let (public, ops) = descriptors::share(descriptors::raise(), wanted, ports);
        if public < connections {
            tracing::warn!(
                configured = connections,
                limit = public,
                "fewer connections than configured: the process may not open as many files (ulimit -n)"
            );
        }
        let of = |connections| Limits { connections, ..Limits::default() };
        Self { public: Limits { proxies, ..of(public) }, ops: of(ops) }
    }
}
