//! The command line beside a running service, on the service's data.

use countermark::clock::{Clock as _, SystemClock};
use serde_json::Value;

use crate::{
    World,
    process::{AUTH, Start},
};

/// A world whose clock shows the machine's time, because the command line uses that time.
pub async fn world_of_today(settings: &[(&str, &str)]) -> World {
    let world = World::with(settings).await;
    world.clock.set(SystemClock::new().now());
    world
}

/// Runs `auth-service` on the world's data.
pub async fn run(world: &World, arguments: &[&str]) -> (i32, String, String) {
    let mut program = Start::of(AUTH).envs(world.auth_settings());
    for argument in arguments {
        program = program.arg(argument);
    }
    let ended = program.end().await;
    (ended.code.unwrap(), ended.stdout, ended.stderr)
}

/// Runs `auth-service` with `--json`. Expects success and returns the printed JSON.
pub async fn json_of(world: &World, arguments: &[&str]) -> Value {
    let (code, output, error) = run(world, &[arguments, &["--json"]].concat()).await;
    assert_eq!(code, 0, "{error}");
    serde_json::from_str(&output).unwrap_or_else(|_| panic!("not JSON: {output}"))
}
