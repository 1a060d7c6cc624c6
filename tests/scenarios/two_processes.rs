//! Two processes of the issuer on one database.

use std::collections::BTreeSet;

use serde_json::json;
use tests::{
    World,
    effort::effort,
    process::{AUTH, Process, Start},
    wire::{Request, Wire},
    world::ADMIN,
};

/// Number of concurrent refreshes of one token. Each process gets half of them.
const AT_ONCE: usize = 64;

fn refresh(token: &str) -> Request {
    Request::new("POST", "/refresh").bearer(token)
}

/// A process of the issuer on the world's data. The grace window is long, because the machine may be slow. Other tests
/// check its length.
async fn issuer(world: &World) -> Process {
    Start::of(AUTH).envs(world.auth_settings()).env("AUTH_REFRESH_GRACE", "1h").listen().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_refreshes_at_once_in_two_processes_there_is_one_successor_round_after_round() {
    let mut world = World::new().await;
    world.halt().await;
    let processes = [issuer(&world).await, issuer(&world).await];
    let mut wires: Vec<_> =
        (0..AT_ONCE).map(|number| Wire::to(processes[number % 2].address("http"))).collect();

    let login = Request::new("POST", "/login").json(&json!({"email": ADMIN.0, "password": ADMIN.1}));
    let mut live = wires[0].ask(&login).is(200)["refresh_token"].as_str().unwrap().to_owned();
    let mut spent = Vec::new();
    let rounds = effort(20, 1_000, 1_000);
    for round in 0..rounds {
        // All requests are in flight before the first answer is read.
        for wire in &mut wires {
            wire.send(&refresh(&live));
        }
        let answers: Vec<_> = wires.iter_mut().map(|wire| wire.answer().is(200)).collect();
        let successors: BTreeSet<_> =
            answers.iter().map(|answer| answer["refresh_token"].as_str().unwrap().to_owned()).collect();
        assert_eq!(successors.len(), 1, "round {round}");
        let access: BTreeSet<_> =
            answers.iter().map(|answer| answer["access_token"].as_str().unwrap().to_owned()).collect();
        assert_eq!(access.len(), AT_ONCE, "each has an access token of its own");
        spent.push(live);
        live = successors.into_iter().next().unwrap();
    }

    // One session, with one generation for each round: none forked, none lost.
    let answer = wires[1].ask(&refresh(&live)).is(200);
    let sessions = Request::new("GET", "/sessions").bearer(answer["access_token"].as_str().unwrap());
    assert_eq!(wires[0].ask(&sessions).is(200)["sessions"].as_array().unwrap().len(), 1);
    let generation = |token: &str| {
        let bytes = tests::jws::unb64(token.strip_prefix("rt_").unwrap());
        usize::try_from(u32::from_be_bytes(bytes[18..22].try_into().unwrap())).unwrap()
    };
    let last = answer["refresh_token"].as_str().unwrap();
    assert_eq!(generation(last), rounds + 1);
    // A token that is spent in one process is spent in both. It ends the session, and then the live token is dead too.
    assert_eq!(wires[0].ask(&refresh(&spent[rounds / 2])).status, 401);
    assert_eq!(wires[1].ask(&refresh(last)).status, 401);
    for process in processes {
        assert_eq!(process.stop().await.code, Some(0));
    }
    world.stop().await;
}
