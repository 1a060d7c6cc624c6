//! Measures the service's answers per second against a bare framework that answers the same bytes. Both run on the same
//! core, in turn.

use std::{
    thread,
    time::{Duration, Instant},
};

use prost::Message as _;
use rustix::process::Pid;
use serde_json::Value;
use tests::{
    grpc::Grpc,
    wire::{Request, Wire},
    world::BILLING,
};

use crate::{
    median,
    peer::Peer,
    ring::{Calls, Load, Ring},
    server::{Resource, Server, processor_time},
};

/// Number of rounds. The rounds alternate between the two, so that other load on the machine affects both.
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);

/// gRPC introspection of a cached token, compared with a unary call of tonic with the same bytes in and out.
pub(crate) fn grpc() {
    let server = Server::start(&[]);
    let token = access_token(&server);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(async {
        let grpc = Grpc::at(server.process().address("grpc")).basic(BILLING.0, BILLING.1);
        grpc.introspect(&token).await.unwrap()
    });
    assert!(answer.active);
    let length = answer.encoded_len();
    // The field's key and length come before the text. They take three bytes for a text of 128 bytes or more.
    assert!((131..16_384).contains(&length));
    let peer = Peer::start("tonic", &"x".repeat(length - 3));
    let calls = |address| Calls::to(address, &token, BILLING, length);
    let service = (server.process().pid(), calls(server.process().address("grpc")));
    compare("gRPC introspections", service, (peer.pid(), calls(peer.address())), 0.75);
}

/// HTTP introspection, compared with a POST of axum with the same bytes.
pub(crate) fn introspect() {
    let server = Server::start(&[]);
    let form = format!("token={}&client_id={}&client_secret={}", access_token(&server), BILLING.0, BILLING.1);
    let asked = |path: &str| Request::new("POST", path).form(&form);
    let answer = Wire::to(server.http()).ask(&asked("/oauth/introspect"));
    assert_eq!(answer.json()["active"], true);
    let peer = Peer::start("axum", answer.text());
    let service = (server.process().pid(), Ring::to(server.http(), &asked("/oauth/introspect")));
    compare("HTTP introspections", service, (peer.pid(), Ring::to(peer.address(), &asked("/post"))), 0.70);
}

/// The key set, compared with a GET of axum with the same bytes.
pub(crate) fn jwks() {
    let server = Server::start(&[]);
    let asked = |path: &str| Request::new("GET", path);
    let path = "/.well-known/jwks.json";
    // The next key is made in the background. The key set does not change after its publication.
    let keys = loop {
        let answer = Wire::to(server.http()).ask(&asked(path));
        if answer.json()["keys"].as_array().is_some_and(|keys| keys.len() > 1) {
            break answer;
        }
        thread::sleep(Duration::from_millis(50));
    };
    let peer = Peer::start("axum", keys.text());
    let service = (server.process().pid(), Ring::to(server.http(), &asked(path)));
    compare("key sets", service, (peer.pid(), Ring::to(peer.address(), &asked("/get"))), 0.85);
}

/// A protected route, compared with a route without an extractor behind the same listener and layers.
pub(crate) fn protected() {
    let server = Server::start(&[]);
    let token = access_token(&server);
    let resource = Resource::start(server);
    let asked = |path: &str| Request::new("GET", path).bearer(&token);
    let answer = Wire::to(resource.http()).ask(&asked("/protected-route"));
    let peer = Peer::start("layers", answer.text());
    let service = (resource.pid(), Ring::to(resource.http(), &asked("/protected-route")));
    compare("protected routes", service, (peer.pid(), Ring::to(peer.address(), &asked("/get"))), 0.85);
}

fn access_token(server: &Server) -> String {
    let Value::String(token) = server.login()["access_token"].take() else { panic!("a token") };
    token
}

/// Prints the figures of both, and the median ratios of the rounds.
fn compare(what: &str, mut service: (Pid, impl Load), mut peer: (Pid, impl Load), target: f64) {
    let (mut ratios, mut time_ratios) = (Vec::new(), Vec::new());
    let (mut of_service, mut of_peer) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let served = measure(service.0, &mut service.1);
        let limit = measure(peer.0, &mut peer.1);
        // The first round warms up and is not counted.
        if round > 0 {
            ratios.push(served.0 / limit.0);
            time_ratios.push(limit.1 / served.1);
            of_service.push(served);
            of_peer.push(limit);
        }
    }
    for (name, values) in [(what, of_service), ("the bare peer", of_peer)] {
        let mut rates: Vec<_> = values.iter().map(|value| value.0).collect();
        let mut times: Vec<_> = values.iter().map(|value| value.1).collect();
        println!("{name:<34}{:>9.0} /s{:>9.2} µs of processor time", median(&mut rates), median(&mut times));
    }
    println!(
        "{what} / the bare peer: {:.3}, by processor time {:.3} (target {target:.2})\n",
        median(&mut ratios),
        median(&mut time_ratios)
    );
}

/// Answers per second, and processor time per answer in µs.
#[expect(clippy::cast_precision_loss, reason = "counts of seconds' work")]
fn measure(pid: Pid, load: &mut impl Load) -> (f64, f64) {
    let ((before, _), started) = (processor_time(pid), Instant::now());
    let answered = load.run(ROUND) as f64;
    let elapsed = started.elapsed();
    let (after, _) = processor_time(pid);
    (answered / elapsed.as_secs_f64(), (after - before).as_secs_f64() * 1.0e6 / answered)
}
