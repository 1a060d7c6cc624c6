//! Measures whether login times reveal which accounts exist.

use std::time::Instant;

use countermark::random::{Random, SeededRandom};
use serde_json::json;
use tests::{
    Answer,
    wire::{Request, Wire},
    world::{ADMIN, PLAIN},
};

use crate::{median, millis, server::Server};

/// Number of attempts of each kind.
const TRIES: usize = 2_000;

pub(crate) fn run() {
    let server = Server::start(&[]);
    let mut wire = Wire::to(server.http());
    let kinds = [("known", ADMIN.0), ("known, another", PLAIN.0), ("unknown", "nobody@example.com")];
    let request = |email: &str| {
        Request::new("POST", "/login").json(&json!({"email": email, "password": "a wrong pass phrase"}))
    };
    let answers = kinds.map(|(_, email)| wire.ask(&request(email)));
    let equal = answers.iter().all(|answer| comparable(answer) == comparable(&answers[0]));
    println!(
        "bytes of the answers equal, but for Date and X-Request-Id: {}",
        if equal { "yes" } else { "NO" }
    );

    // The order is random, so that other load on the machine affects all kinds alike.
    let random = SeededRandom::new(1);
    let mut times = kinds.map(|_| Vec::with_capacity(TRIES));
    while times.iter().any(|times| times.len() < TRIES) {
        let [drawn]: [u8; 1] = (&random as &dyn Random).bytes().unwrap();
        let kind = usize::from(drawn) % kinds.len();
        let (request, started) = (request(kinds[kind].1), Instant::now());
        assert_eq!(wire.ask(&request).status, 401);
        times[kind].push(started.elapsed());
    }
    let medians = times.map(|mut times| millis(median(&mut times)));
    for ((name, _), median) in kinds.iter().zip(medians) {
        println!("median of {TRIES} logins, {name:<16}{median:>9.3} ms");
    }
    println!("unknown / known: {:.4} (target 0.98 to 1.02)\n", medians[2] / medians[0]);
}

fn comparable(answer: &Answer) -> String {
    let mut headers = answer.headers.clone();
    headers.remove("date");
    headers.remove("x-request-id");
    format!("{} {headers:?} {}", answer.status, answer.text())
}
