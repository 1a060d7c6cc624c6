//! Somebody else who refreshes meanwhile, and how long that takes.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{
    wire::{Request, Wire},
    world::PLAIN,
};

/// Time between two refreshes.
const PACE: Duration = Duration::from_millis(5);

/// The tokens of a login.
pub(crate) struct Login {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

pub(crate) fn login(address: SocketAddr, (email, password): (&str, &str)) -> Login {
    let body = json!({"email": email, "password": password});
    let answer = Wire::to(address).ask(&Request::new("POST", "/login").json(&body)).is(200);
    let token = |name: &str| answer[name].as_str().unwrap().to_owned();
    Login { access: token("access_token"), refresh: token("refresh_token") }
}

/// How long the refreshes of an account without roles take, each from the moment at which it was due.
pub(crate) fn refreshes(address: SocketAddr, span: Duration) -> Vec<Duration> {
    let mut token = login(address, PLAIN).refresh;
    let mut wire = Wire::to(address);
    let (mut times, started) = (Vec::new(), Instant::now());
    let mut due = started;
    while started.elapsed() < span {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let answer = wire.ask(&Request::new("POST", "/refresh").bearer(&token)).is(200);
        answer["refresh_token"].as_str().unwrap().clone_into(&mut token);
        times.push(due.elapsed());
        due += PACE;
    }
    times
}
