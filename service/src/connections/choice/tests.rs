use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::address::network_of;

fn network(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

/// A table with these connections: the holder, and whether it is busy. Their ids, too.
fn table(connections: &[(u8, bool)]) -> (Table, Vec<Id>) {
    let mut table = Table::default();
    let ids: Vec<_> = connections.iter().map(|&(holder, _)| table.add(network(holder), false)).collect();
    for (&id, &(_, is_busy)) in ids.iter().zip(connections) {
        table.set_busy(id, is_busy);
    }
    (table, ids)
}

const IDLE: bool = false;
const BUSY: bool = true;

#[test]
fn the_longest_idle_of_the_address_that_holds_most_goes_first() {
    for (connections, newcomer, expected) in [
        // One address alone.
        (&[(1, IDLE), (1, IDLE)][..], 2, (Some(0), Chosen::Idle)),
        (&[(1, BUSY), (1, IDLE)], 2, (Some(1), Chosen::Idle)),
        // The newcomer's own address holds most: its oldest goes.
        (&[(2, IDLE), (1, IDLE), (1, IDLE)], 1, (Some(1), Chosen::Idle)),
        // As many: the longest idle.
        (&[(1, IDLE), (2, IDLE)], 3, (Some(0), Chosen::Idle)),
        (&[(1, IDLE), (2, IDLE)], 2, (Some(1), Chosen::Idle)),
        // An idle one of a smaller address goes before a busy one.
        (&[(1, BUSY), (1, BUSY), (2, IDLE)], 3, (Some(2), Chosen::Idle)),
        // An address that holds most and has no idle one takes nobody's place.
        (&[(1, BUSY), (1, BUSY), (2, IDLE)], 1, (None, Chosen::Newcomer)),
        (&[(1, BUSY), (1, BUSY), (2, BUSY)], 1, (None, Chosen::Newcomer)),
        // Another one does, though it holds two itself.
        (&[(1, BUSY), (1, BUSY), (1, BUSY), (2, BUSY), (3, IDLE)], 2, (Some(4), Chosen::Idle)),
        // Nothing idles: the newest of the address that holds most.
        (&[(1, BUSY), (1, BUSY), (2, BUSY)], 3, (Some(1), Chosen::Newest)),
        (&[(1, BUSY), (1, BUSY), (1, BUSY), (2, BUSY)], 2, (Some(2), Chosen::Newest)),
        // Everybody holds one: the newcomer is the newest.
        (&[(1, BUSY), (2, BUSY)], 3, (None, Chosen::Newcomer)),
    ] {
        let (mut table, ids) = table(connections);
        let newcomer = table.add(network(newcomer), false);
        let (index, why) = expected;
        assert_eq!(
            table.choose(newcomer),
            (index.map_or(newcomer, |index: usize| ids[index]), why),
            "{connections:?}"
        );
    }
}

#[test]
fn a_request_makes_a_connection_the_youngest_again() {
    let (mut table, ids) = table(&[(1, IDLE), (1, IDLE), (1, IDLE)]);
    table.set_busy(ids[0], true);
    table.set_busy(ids[0], false);
    let newcomer = table.add(network(2), false);
    assert_eq!(table.choose(newcomer), (ids[1], Chosen::Idle));
    // To be idle twice changes nothing.
    table.set_busy(ids[1], false);
    assert_eq!(table.choose(newcomer), (ids[1], Chosen::Idle));
}

#[test]
fn a_proxy_holds_one_by_one_and_its_idle_ones_go_by_age() {
    let mut table = Table::default();
    let proxied: Vec<_> = (0..10).map(|_| table.add(network(1), true)).collect();
    let pair = [table.add(network(2), false), table.add(network(2), false)];
    let newcomer = table.add(network(1), true);
    assert_eq!(table.choose(newcomer), (pair[0], Chosen::Idle));
    table.remove(pair[0]);
    assert_eq!(table.choose(newcomer), (proxied[0], Chosen::Idle));
    assert_eq!(table.largest(), 1);
}

#[test]
fn an_ipv6_address_is_its_64() {
    let mut table = Table::default();
    let alone = table.add(network_of("2001:db8:0:2::1".parse().unwrap()), false);
    for host in 1..=3_u16 {
        table.add(network_of(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host).into()), false);
    }
    assert_eq!(table.largest(), 3);
    let newcomer = table.add(network_of("2001:db8:0:2::2".parse().unwrap()), false);
    assert_ne!(table.choose(newcomer).0, alone);
}

#[test]
fn what_was_removed_is_gone() {
    let (mut table, ids) = table(&[(1, IDLE), (1, BUSY)]);
    for id in ids {
        table.remove(id);
        table.remove(id);
        table.set_busy(id, false);
    }
    assert_eq!((table.len(), table.largest(), table.choose_idle()), (0, 0, None));
    assert!(table.holders.is_empty() && table.by_size.is_empty() && table.by_idle.is_empty());
}

/// A step in the life of a port.
#[derive(Clone, Copy, Debug)]
enum Step {
    Open { holder: u8, is_proxied: bool },
    Close(usize),
    Begin(usize),
    End(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5_u8, prop::bool::weighted(0.2))
            .prop_map(|(holder, is_proxied)| Step::Open { holder, is_proxied }),
        1 => any::<usize>().prop_map(Step::Close),
        3 => any::<usize>().prop_map(Step::Begin),
        2 => any::<usize>().prop_map(Step::End),
    ]
}

/// A connection of the model, which is searched as a whole.
#[derive(Clone, Copy, Debug)]
struct Modelled {
    id: Id,
    /// `None` for a connection of a proxy.
    holder: Option<u8>,
    idle_since: Option<usize>,
}

fn held(model: &[Modelled], of: &Modelled) -> usize {
    of.holder.map_or(1, |holder| model.iter().filter(|other| other.holder == Some(holder)).count())
}

proptest! {
    #[test]
    fn a_choice_keeps_its_promises(steps in prop::collection::vec(step(), 1..200), cap in 1..12_usize) {
        let (mut table, mut model) = (Table::default(), Vec::<Modelled>::new());
        for (now, step) in steps.into_iter().enumerate() {
            let picked = |index: usize, model: &[Modelled]| (!model.is_empty()).then(|| index % model.len());
            match step {
                Step::Open { holder, is_proxied } => {
                    let id = table.add(network(holder), is_proxied);
                    let holder = (!is_proxied).then_some(holder);
                    model.push(Modelled { id, holder, idle_since: Some(now) });
                    if model.len() > cap {
                        let chosen = table.choose(id);
                        promises(&model, chosen)?;
                        table.remove(chosen.0);
                        model.retain(|connection| connection.id != chosen.0);
                    }
                }
                Step::Close(index) => {
                    if let Some(index) = picked(index, &model) {
                        table.remove(model.remove(index).id);
                    }
                }
                Step::Begin(index) => {
                    if let Some(index) = picked(index, &model) {
                        model[index].idle_since = None;
                        table.set_busy(model[index].id, true);
                    }
                }
                Step::End(index) => {
                    if let Some(index) = picked(index, &model) {
                        model[index].idle_since.get_or_insert(now);
                        table.set_busy(model[index].id, false);
                    }
                }
            }
            prop_assert_eq!(table.len(), model.len());
            prop_assert!(table.len() <= cap);
            prop_assert_eq!(table.largest(), model.iter().map(|each| held(&model, each)).max().unwrap_or(0));
        }
    }
}

/// The newcomer is the last connection of the model.
fn promises(model: &[Modelled], (id, why): (Id, Chosen)) -> Result<(), TestCaseError> {
    let chosen = model.iter().find(|each| each.id == id).expect("an open connection");
    let newcomer = model.last().expect("a newcomer");
    let others = &model[..model.len() - 1];
    let most = model.iter().map(|each| held(model, each)).max().unwrap_or(0);
    let idle: Vec<_> = others.iter().filter(|each| each.idle_since.is_some()).collect();
    match why {
        Chosen::Idle => {
            prop_assert!(chosen.idle_since.is_some() && id != newcomer.id);
            // Nobody who holds more has an idle one, and nothing of an equal idles longer.
            for other in idle {
                prop_assert!(held(model, other) <= held(model, chosen));
                if held(model, other) == held(model, chosen) {
                    prop_assert!(other.idle_since >= chosen.idle_since);
                }
            }
        }
        Chosen::Newest => {
            prop_assert!(idle.is_empty(), "a busy one never goes while an idle one exists");
            prop_assert_eq!(held(model, chosen), most);
            prop_assert!(held(model, newcomer) < most);
            prop_assert!(others.iter().all(|other| other.holder != chosen.holder || other.id <= id));
        }
        Chosen::Newcomer => {
            prop_assert_eq!(id, newcomer.id);
            prop_assert_eq!(held(model, newcomer), most);
            prop_assert!(idle.iter().all(|other| held(model, other) < most));
        }
    }
    Ok(())
}
