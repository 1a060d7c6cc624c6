//! Real processes are killed, or suspended and resumed. A verifier with the policy deny accepts no revoked token past
//! its bound, refuses no valid token permanently, and catches up.

use std::{net::SocketAddr, time::Duration};

use countermark::clock::{Clock as _, SystemClock};
use rustix::process::Signal;
use serde_json::json;
use tests::{
    World, effort,
    process::{AUTH, Process, RESOURCE, Start},
    until,
    world::{ADMIN, PLAIN, Tokens},
};

/// Longest time that the verifier accepts tokens without an answer from the issuer.
const BOUND: Duration = Duration::from_secs(1);

/// Both services as processes, and the revoked tokens.
struct Fleet {
    world: World,
    /// The first ports of auth-service. Its later processes use them too.
    ports: [SocketAddr; 3],
    auth: Process,
    resource: Process,
    clock: SystemClock,
    good: Tokens,
    /// Revoked tokens, and the time when the revocation was answered.
    revoked: Vec<(String, Duration)>,
}

async fn auth(world: &World, ports: Option<[SocketAddr; 3]>) -> Process {
    let mut start = Start::of(AUTH).envs(world.auth_settings());
    for (name, port) in
        ["AUTH_HTTP_ADDR", "AUTH_GRPC_ADDR", "AUTH_OPS_ADDR"].into_iter().zip(ports.iter().flatten())
    {
        start = start.env(name, port.to_string());
    }
    start.listen().await
}

async fn resource(world: &World, [http, grpc, _]: [SocketAddr; 3]) -> Process {
    let process = Start::of(RESOURCE)
        .envs(world.resource_settings())
        .env("RESOURCE_AUTH_URL", format!("http://{http}"))
        .env("RESOURCE_AUTH_GRPC", format!("http://{grpc}"))
        .env("RESOURCE_STALE_AFTER", "1s")
        .env("RESOURCE_STALE_POLICY", "deny")
        .listen()
        .await;
    let ops = process.ops();
    until("it is ready", async || (ops.get("/health/ready").await.status == 200).then_some(())).await;
    process
}

async fn log_in(auth: &Process, (email, password): (&str, &str)) -> Tokens {
    Tokens::of(&auth.http().post("/login").json(&json!({"email": email, "password": password})).await)
}

impl Fleet {
    async fn start() -> Self {
        let mut world = World::with(&[]).await;
        world.halt().await;
        let auth = auth(&world, None).await;
        let ports = ["http", "grpc", "ops"].map(|port| auth.address(port));
        let resource = resource(&world, ports).await;
        let good = log_in(&auth, PLAIN).await;
        let fleet =
            Self { world, ports, auth, resource, clock: SystemClock::new(), good, revoked: Vec::new() };
        fleet.is_current().await;
        fleet
    }

    /// Revokes a valid token.
    async fn revoke(&mut self) {
        let tokens = log_in(&self.auth, ADMIN).await;
        self.auth.http().post("/logout").bearer(&tokens.access).await.is(200);
        self.revoked.push((tokens.access, self.clock.monotonic()));
    }

    /// Sends every token to the verifier. Returns whether it accepts the valid one and reports each revoked one as
    /// revoked.
    async fn look(&self) -> bool {
        let show = async |token: &str| {
            let shown_at = self.clock.monotonic();
            let answer = self.resource.http().get("/protected-route").bearer(token).await;
            (shown_at, answer)
        };
        let mut is_current = true;
        for (token, revoked_at) in &self.revoked {
            let (shown_at, answer) = show(token).await;
            assert!(
                answer.status != 200 || shown_at <= *revoked_at + BOUND,
                "accepted {:?} after it was revoked",
                shown_at.saturating_sub(*revoked_at)
            );
            is_current &= answer.status == 401;
        }
        let (_, good) = show(&self.good.access).await;
        assert!(matches!(good.status, 200 | 503), "a good token: {}", good.text());
        is_current && good.status == 200
    }

    async fn is_current(&self) {
        until("the verifier is current", async || self.look().await.then_some(())).await;
    }

    /// Waits until the bound has passed.
    async fn outlast_the_bound(&self) {
        let until_then = self.clock.monotonic() + BOUND;
        until("the bound has passed", async || (self.clock.monotonic() > until_then).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_and_stops_of_either_side_let_nothing_through_past_the_bound() {
    let mut fleet = Fleet::start().await;
    for _ in 0..effort::effort(1, 2, 25) {
        // A suspended verifier receives no revocation. It notices when it resumes.
        fleet.resource.signal(Signal::STOP);
        fleet.revoke().await;
        fleet.outlast_the_bound().await;
        fleet.resource.signal(Signal::CONT);
        fleet.is_current().await;

        // The verifier notices a suspended issuer.
        fleet.auth.signal(Signal::STOP);
        until("it is stale", async || (!fleet.look().await).then_some(())).await;
        fleet.auth.signal(Signal::CONT);
        fleet.revoke().await;
        fleet.is_current().await;

        // The issuer is killed right after an answer. The answered revocation holds after its restart.
        fleet.revoke().await;
        fleet.auth.signal(Signal::KILL);
        fleet.auth.exit().await;
        until("it is stale", async || (!fleet.look().await).then_some(())).await;
        fleet.auth = auth(&fleet.world, Some(fleet.ports)).await;
        fleet.revoke().await;
        fleet.is_current().await;

        // A killed verifier starts again.
        fleet.resource.signal(Signal::KILL);
        fleet.resource.exit().await;
        fleet.revoke().await;
        fleet.outlast_the_bound().await;
        fleet.resource = resource(&fleet.world, fleet.ports).await;
        fleet.is_current().await;
    }
    assert_eq!(fleet.resource.stop().await.code, Some(0));
    assert_eq!(fleet.auth.stop().await.code, Some(0));
}
