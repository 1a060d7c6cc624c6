//! Which connection of a full port is closed for the next one. Pure: no socket and no time.
//!
//! A connection idles from its start, and again from the end of its last request; a request in flight makes it busy. The
//! holder of connections is a network address ([`network_of`](crate::address::network_of)). A trusted proxy holds the
//! connections of many clients, so each of its connections is a holder of its own, and counts as one.
//!
//! All operations take O(log n) steps for n connections.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// A connection. A later one has a greater number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(u64);

/// Whoever holds connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    /// A network.
    Network(IpAddr),
    /// A connection from a trusted proxy.
    Proxied(Id),
}

/// Why a connection was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// It idles longest of the holder that holds most.
    Idle,
    /// No connection idles. It is the newest of the holder that holds most.
    Newest,
    /// It is the new connection itself: its holder holds most already, and has no idle one.
    Newcomer,
}

/// The moment at which a connection became idle, as an order.
type Moment = u64;

#[derive(Debug)]
struct Connection {
    holder: Holder,
    idle_since: Option<Moment>,
}

/// The connections of one holder.
#[derive(Debug, Default)]
struct Held {
    all: BTreeSet<Id>,
    idle: BTreeMap<Moment, Id>,
}

impl Held {
    /// The number of connections, and the moment since which the longest idle one has been idle.
    fn rank(&self) -> (usize, Option<Moment>) {
        (self.all.len(), self.idle.first_key_value().map(|(&moment, _)| moment))
    }
}

/// All connections of one port.
#[derive(Debug, Default)]
pub(super) struct Table {
    last: u64,
    moment: Moment,
    connections: BTreeMap<Id, Connection>,
    holders: BTreeMap<Holder, Held>,
    /// All holders. The last one holds most.
    by_size: BTreeSet<(usize, Holder)>,
    /// The holders with idle connections. The last one holds most; of those that hold as many, it has the longest idle one.
    by_idle: BTreeSet<(usize, Reverse<Moment>, Holder)>,
}

impl Table {
    /// Adds a connection from `network`. It idles.
    pub(super) fn add(&mut self, network: IpAddr, is_proxied: bool) -> Id {
        self.last += 1;
        let id = Id(self.last);
        let holder = if is_proxied { Holder::Proxied(id) } else { Holder::Network(network) };
        self.moment += 1;
        let moment = self.moment;
        self.connections.insert(id, Connection { holder, idle_since: Some(moment) });
        self.change(holder, |held| {
            held.all.insert(id);
            held.idle.insert(moment, id);
        });
        id
    }

    /// Removes a connection. Nothing happens when it has been removed already.
    pub(super) fn remove(&mut self, id: Id) {
        let Some(Connection { holder, idle_since }) = self.connections.remove(&id) else { return };
        self.change(holder, |held| {
            held.all.remove(&id);
            if let Some(moment) = idle_since {
                held.idle.remove(&moment);
            }
        });
    }

    /// Notes whether a connection is busy. Only a change counts: an idle connection keeps its moment.
    pub(super) fn set_busy(&mut self, id: Id, is_busy: bool) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let holder = connection.holder;
        match (connection.idle_since, is_busy) {
            (Some(moment), true) => {
                connection.idle_since = None;
                self.change(holder, |held| {
                    held.idle.remove(&moment);
                });
            }
            (None, false) => {
                self.moment += 1;
                let moment = self.moment;
                connection.idle_since = Some(moment);
                self.change(holder, |held| {
                    held.idle.insert(moment, id);
                });
            }
            (Some(_), false) | (None, true) => {}
        }
    }

    /// The number of connections.
    pub(super) fn len(&self) -> usize {
        self.connections.len()
    }

    /// The largest number of connections that one holder has.
    pub(super) fn largest(&self) -> usize {
        self.by_size.last().map_or(0, |&(size, _)| size)
    }

    /// The connection to close for `newcomer`, which has been added. Of the holders with idle connections it takes the one
    /// that holds most, and of its connections the one that idles longest.
    ///
    /// When that is the newcomer, no other connection of its holder idles. It is chosen when its holder holds most of all.
    /// Otherwise somebody else has to yield: the next idle one, or without idle ones the newest of the holder that holds most.
    pub(super) fn choose(&self, newcomer: Id) -> (Id, Chosen) {
        let of_newcomer =
            self.connections.get(&newcomer).and_then(|connection| self.holders.get(&connection.holder));
        let held_by_newcomer = of_newcomer.map_or(0, |held| held.all.len());
        match self.longest_idle().next() {
            Some(id) if id != newcomer => (id, Chosen::Idle),
            Some(_) | None if held_by_newcomer >= self.largest() => (newcomer, Chosen::Newcomer),
            Some(_) | None => {
                let idle = self.longest_idle().find(|&id| id != newcomer).map(|id| (id, Chosen::Idle));
                let newest = || self.newest_of_the_largest().map(|id| (id, Chosen::Newest));
                idle.or_else(newest).unwrap_or((newcomer, Chosen::Newcomer))
            }
        }
    }

    /// The connection that idles longest of the holder that holds most, if one idles.
    pub(super) fn choose_idle(&self) -> Option<Id> {
        self.longest_idle().next()
    }

    /// The longest idle connection of each holder, beginning with the holder that holds most.
    fn longest_idle(&self) -> impl Iterator<Item = Id> {
        let holders = self.by_idle.iter().rev().filter_map(|(_, _, holder)| self.holders.get(holder));
        holders.filter_map(|held| held.idle.first_key_value().map(|(_, &id)| id))
    }

    fn newest_of_the_largest(&self) -> Option<Id> {
        let (_, holder) = self.by_size.last()?;
        self.holders.get(holder)?.all.last().copied()
    }

    fn change(&mut self, holder: Holder, change: impl FnOnce(&mut Held)) {
        let held = self.holders.entry(holder).or_default();
        let before = held.rank();
        change(held);
        let after = held.rank();
        if after.0 == 0 {
            self.holders.remove(&holder);
        }
        if before == after {
            return;
        }
        if before.0 != after.0 {
            self.by_size.remove(&(before.0, holder));
            if after.0 > 0 {
                self.by_size.insert((after.0, holder));
            }
        }
        if let (size, Some(moment)) = before {
            self.by_idle.remove(&(size, Reverse(moment), holder));
        }
        if let (size, Some(moment)) = after {
            self.by_idle.insert((size, Reverse(moment), holder));
        }
    }
}

#[cfg(test)]
mod tests;
