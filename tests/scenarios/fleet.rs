//! The whole revocation loop with real verifiers. No valid token is refused while keys rotate. No revoked token is
//! accepted after the barrier has reported success.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use countermark::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tests::{
    Http, World,
    effort::effort,
    process::{AUTH, Process, RESOURCE as RESOURCE_SERVICE, Start},
    until,
    world::{BILLING, ISSUER, RESOURCE},
};

/// Settings beyond the required ones.
type Settings = &'static [(&'static str, &'static str)];

/// A new key waits for this time plus one second between its publication and its first signature.
const MAX_AGE: Settings = &[("AUTH_JWKS_MAX_AGE", "1s")];

async fn issuer(world: &World, settings: Settings) -> Process {
    Start::of(AUTH).envs(world.auth_settings()).envs(settings.iter().copied()).listen().await
}

/// A resource server that watches, or one that only fetches the key set.
async fn verifier(world: &World, issuer: &Process, watches: bool, settings: Settings) -> Process {
    let file = |name: &str| world.path(name).display().to_string();
    let mut start = Start::of(RESOURCE_SERVICE).envs([
        ("RESOURCE_HTTP_ADDR", "127.0.0.1:0".to_owned()),
        ("RESOURCE_OPS_ADDR", "127.0.0.1:0".to_owned()),
        ("RESOURCE_ISSUER", ISSUER.to_owned()),
        ("RESOURCE_AUTH_URL", format!("http://{}", issuer.address("http"))),
        ("RESOURCE_DATABASE_URL", format!("sqlite://{}", file(&format!("resource-{watches}.db")))),
        ("RESOURCE_BUNDLE_FILE", file(&format!("{watches}.bundle"))),
    ]);
    start = start.envs(settings.iter().copied());
    if watches {
        start = start.envs([
            ("RESOURCE_AUTH_GRPC", format!("http://{}", issuer.address("grpc"))),
            ("RESOURCE_CLIENT_ID", RESOURCE.0.to_owned()),
            ("RESOURCE_CLIENT_SECRET", RESOURCE.1.to_owned()),
        ]);
    }
    let process = start.listen().await;
    until("it is ready", async || (process.ops().get("/health/ready").await.status == 200).then_some(()))
        .await;
    process
}

async fn token(issuer: &Http) -> String {
    let form = [("grant_type", "client_credentials"), ("scope", "documents:read")];
    let answer = issuer.post("/oauth/token").basic(BILLING).form(&form).await.is(200);
    answer["access_token"].as_str().unwrap().to_owned()
}

fn kid(token: &str) -> String {
    tests::jws::header(token)["kid"].as_str().unwrap().to_owned()
}

/// The tokens that every verifier has accepted.
#[derive(Default)]
struct Shown {
    is_over: AtomicBool,
    count: AtomicU64,
    /// The latest token of each key.
    tokens: Mutex<BTreeMap<String, String>>,
}

impl Shown {
    fn keys(&self) -> usize {
        self.tokens.lock().unwrap().len()
    }

    /// Sends tokens to every verifier until `is_over`: new tokens, and in turn the last token of each earlier key while
    /// it lives. No verifier may refuse one.
    async fn show(&self, issuer: Http, verifiers: Vec<Http>) {
        let mut turn = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            let new = token(&issuer).await;
            turn += 1;
            let old = {
                let mut tokens = self.tokens.lock().unwrap();
                tokens.insert(kid(&new), new.clone());
                let living: Vec<_> = tokens.values().filter(|token| lives(token)).collect();
                living[turn % living.len()].clone()
            };
            for verifier in &verifiers {
                for token in [&new, &old] {
                    let answer = verifier.get("/claims").bearer(token).await;
                    assert_eq!(answer.status, 200, "a good token of the key {}: {answer:?}", kid(token));
                    self.count.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

/// Whether the token lives for more than 10 s.
fn lives(token: &str) -> bool {
    let exp = tests::jws::payload(token)["exp"].as_i64().unwrap();
    exp - SystemClock::new().now().unix_seconds() > 10
}

/// Rotates the key `rotations` times while a fleet of verifiers receives tokens.
async fn rotate(rotations: usize, of_issuer: Settings, of_verifiers: Settings) {
    let mut world = World::of_auth_alone(&[]).await;
    world.halt().await;
    let issuer = issuer(&world, of_issuer).await;
    let verifiers = [
        verifier(&world, &issuer, true, of_verifiers).await,
        verifier(&world, &issuer, false, of_verifiers).await,
    ];
    let shown = Arc::<Shown>::default();
    let (at, http) = (issuer.http(), verifiers.iter().map(Process::http).collect());
    let showing = tokio::spawn({
        let shown = Arc::clone(&shown);
        async move { shown.show(at, http).await }
    });
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    for rotation in 1..=rotations {
        let rotate = Start::of(AUTH).envs(world.auth_settings()).envs(of_issuer.iter().copied());
        let ended = rotate.arg("key").arg("rotate").end().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        // With the default settings a rotation takes minutes.
        while shown.keys() <= rotation && !showing.is_finished() {
            looks.tick().await;
        }
        // Some tokens are sent before the next rotation, so that each key is used.
        let before = shown.count.load(Ordering::Relaxed);
        while shown.count.load(Ordering::Relaxed) < before + 20 && !showing.is_finished() {
            looks.tick().await;
        }
        if showing.is_finished() {
            break;
        }
    }
    shown.is_over.store(true, Ordering::Relaxed);
    showing.await.unwrap();
    assert_eq!(shown.keys(), rotations + 1, "each key has signed");
    println!("{rotations} rotations, {} tokens shown, 0 refused", shown.count.load(Ordering::Relaxed));
    for process in verifiers.into_iter().chain([issuer]) {
        assert_eq!(process.stop().await.code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_keys_are_rotated_no_good_token_is_refused() {
    rotate(effort(2, 10, 1_000), MAX_AGE, &[("RESOURCE_JWKS_COOLDOWN", "0s")]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes twenty minutes: each key waits until it may be known to whoever asks as seldom as the defaults say"]
async fn with_everything_at_its_defaults_a_rotation_is_not_noticed_either() {
    rotate(3, &[], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn once_a_barrier_has_said_yes_the_token_is_refused_always() {
    let world = World::with(&[("RESOURCE_STALE_POLICY", "deny")]).await;
    let watches = async || {
        let watchers = world.operator().await.watch.watchers().unwrap();
        watchers.iter().any(|watcher| watcher.is_connected).then_some(())
    };
    until("the resource server watches", watches).await;
    let trials = effort(30, 500, 100_000);
    let lanes = 4;
    let failures = Arc::<Mutex<Vec<String>>>::default();
    let lane = |count: usize| {
        let (auth, resource, failures) =
            (world.auth().clone(), world.resource().clone(), Arc::clone(&failures));
        let login = json!({"email": tests::world::ADMIN.0, "password": tests::world::ADMIN.1});
        tokio::spawn(async move {
            for _ in 0..count {
                let tokens = tests::world::Tokens::of(&auth.post("/login").json(&login).await);
                let accepted = resource.get("/protected-route").bearer(&tokens.access).await;
                let said = auth.post("/logout?wait=true").bearer(&tokens.access).await.is(200);
                let refused = resource.get("/protected-route").bearer(&tokens.access).await;
                if said != json!({"complete": true, "unconfirmed": []}) || refused.status != 401 {
                    failures.lock().unwrap().push(format!("{accepted:?} {said} {refused:?}"));
                }
            }
        })
    };
    let running: Vec<_> = (0..lanes).map(|_| lane(trials.div_ceil(lanes))).collect();
    for lane in running {
        lane.await.unwrap();
    }
    assert_eq!(*failures.lock().unwrap(), Vec::<String>::new());
    println!("{trials} barriers, 0 tokens accepted after them");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_key_is_worth_nothing_at_a_verifier_that_watches() {
    let world = World::new().await;
    let stolen = world.forge();
    let tokens = world.login().await;
    let forged = stolen.token(&tokens.claims());
    world.protected(&forged).await.is(200);
    until("there is a next key", async || {
        (world.operator().await.keys.key_statuses().unwrap().len() == 2).then_some(())
    })
    .await;
    world.operator().await.keys.revoke_signing_key(&stolen.kid.parse().unwrap()).await.unwrap();
    until("it is refused", async || (world.protected(&forged).await.status == 401).then_some(())).await;
    let refreshed = world.refresh(&tokens.refresh).await;
    until("the new key is known", async || {
        (world.protected(&refreshed.access).await.status == 200).then_some(())
    })
    .await;
    let answer: Value = world.protected(&forged).await.json();
    assert_eq!(answer["error"], "invalid_token");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_verifier_is_named_by_the_doctor_and_forgotten_when_it_stops() {
    let mut world = World::new().await;
    let watchers = async |world: &World| world.operator().await.watch.watchers().unwrap();
    let one = until("it watches, and holds the keys", async || {
        let watchers = watchers(&world).await;
        let one = watchers.iter().find(|watcher| watcher.is_connected)?;
        (!one.applied.key_set.is_empty()).then(|| one.clone())
    })
    .await;
    assert_eq!(one.who.client.as_str(), RESOURCE.0);
    assert!(!one.who.name.is_empty() && !one.who.version.is_empty(), "{one:?}");
    assert!(one.clock_offset.is_some_and(|offset| offset.abs() <= 1_000), "{one:?}");
    world.stop_resource().await;
    until("it is forgotten", async || watchers(&world).await.is_empty().then_some(())).await;
    world.stop().await;
}
