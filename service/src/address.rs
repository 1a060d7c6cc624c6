//! The client's address behind trusted proxies, and the network that limits count it under.

use std::{
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use axum::http::HeaderMap;
use ipnet::{IpNet, Ipv4Net};

mod doubts;
mod hops;

pub use doubts::{Doubt, Doubts};

/// A network in CIDR form, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// The text is not a [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It has another form.
    #[error("is no network; write it like 10.0.0.0/8, fd00::/8 or 192.0.2.1")]
    Malformed,
    /// The address names a host in the network: which of both is meant is not clear.
    #[error("names a host in a network; write the network as {0}, or the host without the slash")]
    Host(IpNet),
    /// No client ever has an address in it.
    #[error("holds no address that a peer can have; write the addresses of the proxies")]
    Unreachable,
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let network = canonical(network.map_err(|_| NetworkError::Malformed)?);
        if network.trunc() != network {
            return Err(NetworkError::Host(network.trunc()));
        }
        let address = network.addr();
        if address.is_multicast()
            || address.is_unspecified() && network.prefix_len() == network.max_prefix_len()
        {
            return Err(NetworkError::Unreachable);
        }
        Ok(Self(network))
    }
}

/// A network of IPv4-mapped addresses is the IPv4 network, because addresses are compared in that form.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else { return network };
    let address = mapped.addr().to_ipv4_mapped().zip(mapped.prefix_len().checked_sub(96));
    let mapped = address.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    mapped.map_or(network, IpNet::V4)
}

/// The proxies that are trusted to name the address of their client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

/// The address of a client, and why it may be another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// The address. It is IPv4 for an IPv4-mapped IPv6 address.
    pub address: IpAddr,
    /// Why it may be another one. An operator can mend it.
    pub doubt: Option<Doubt>,
}

impl TrustedProxies {
    /// Trusts the proxies in `networks`. An empty list trusts none.
    #[must_use]
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// The address of the client: the right-most hop that is not a trusted proxy.
    ///
    /// The first hop is `peer`. As long as a hop is a trusted proxy, the next entry of `X-Forwarded-For` from the right
    /// is taken; without that header the next entry of `Forwarded` (RFC 7239). All lines of a header are one list.
    ///
    /// An entry that names no address ends the search at the trusted proxy that wrote it. So the clients behind such an
    /// entry count as one, and no client can choose the address that it counts as: entries further to the left may be the
    /// client's own.
    #[must_use]
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let mut address = peer.to_canonical();
        if !self.trusts(address) {
            let doubt = hops::are_named(headers).then_some(Doubt::UntrustedPeer);
            return ClientAddress { address, doubt };
        }
        for hop in hops::from_the_right(headers) {
            let Some(hop) = hop else {
                return ClientAddress { address, doubt: Some(Doubt::UnreadableHop) };
            };
            address = hop;
            if !self.trusts(address) {
                break;
            }
        }
        ClientAddress { address, doubt: None }
    }

    /// `true` when `address` is a trusted proxy.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.0.contains(&address))
    }
}

/// The address that limits count. For an IPv6 address this is its /64 network, because a client usually owns at least
/// a /64.
#[must_use]
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests;
