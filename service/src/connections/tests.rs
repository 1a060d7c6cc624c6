use std::net::Ipv4Addr;

use super::*;

/// The connections of a port for tests.
pub(crate) fn connections(limits: Limits) -> Arc<Connections> {
    Connections::new(limits, ConnectionMetrics::default().of("http"))
}

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

fn of_limit(limit: usize) -> Arc<Connections> {
    connections(Limits { connections: limit, ..Limits::default() })
}

#[test]
fn a_full_port_closes_one_for_the_next() {
    let connections = of_limit(2);
    let mut first = connections.admit(address(1)).unwrap();
    let mut second = connections.admit(address(1)).unwrap();
    assert!(first.closed.try_recv().is_err() && second.closed.try_recv().is_err());
    second.handle.note(|| true);
    let third = connections.admit(address(2)).unwrap();
    assert_eq!(first.closed.try_recv(), Ok(Chosen::Idle));
    third.handle.note(|| true);
    assert!(connections.admit(address(1)).is_none(), "its address holds most, and none of its idles");
    assert_eq!(connections.open.load(Relaxed), 2);
    drop((first, second, third));
    assert_eq!(connections.open.load(Relaxed), 0);
    assert!(connections.state().closers.is_empty());
}

#[test]
fn an_episode_ends_when_a_quarter_has_been_free_for_a_while() {
    let connections = of_limit(4);
    let closed = || connections.state().episode.map(|episode| episode.closed);
    let mut places: Vec<_> = (1..=6).filter_map(|last| connections.admit(address(last))).collect();
    assert_eq!(closed(), Some(2));
    connections.settle();
    connections.settle();
    assert_eq!(closed(), Some(2), "it is full");
    places.truncate(5);
    assert_eq!(connections.open.load(Relaxed), 3);
    let _fourth = connections.admit(address(1)).unwrap();
    let _fifth = connections.admit(address(2)).unwrap();
    places.truncate(4);
    connections.settle();
    assert_eq!(closed(), Some(3), "one was closed since the last look");
    connections.settle();
    assert_eq!(closed(), None);
    connections.settle();
    assert_eq!(closed(), None);
}

#[test]
fn without_descriptors_an_idle_one_goes() {
    let connections = of_limit(4);
    assert!(!connections.close_one_idle());
    let busy = connections.admit(address(1)).unwrap();
    busy.handle.note(|| true);
    assert!(!connections.close_one_idle());
    let mut idle = connections.admit(address(2)).unwrap();
    assert!(connections.close_one_idle());
    assert_eq!(idle.closed.try_recv(), Ok(Chosen::Idle));
}

#[test]
fn a_full_port_is_impatient() {
    let connections = of_limit(2);
    let relaxed = connections.patience();
    let _places = [connections.admit(address(1)).unwrap(), connections.admit(address(1)).unwrap()];
    assert_eq!((relaxed.head, relaxed.idle), (4, 24));
    assert_eq!((connections.patience().head, connections.patience().idle), (1, 3));
}
