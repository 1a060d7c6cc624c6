//! Measures verification against a bare RSA verification in the same run:
//! `cargo bench --package countermark --bench verify`.
//!
//! The ratios matter; the absolute times depend on the machine. Each figure is the best of many rounds. The
//! measurements alternate, so that other load on the machine affects all of them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a bench measures and prints"
)]

use std::{
    cell::Cell,
    hint::black_box,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use allocation_counter::measure;
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use axum::{Router, body::Body, extract::Request, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countermark::{
    clock::{Clock as _, SystemClock, Timestamp},
    http::{AccessToken, Guard, RequireToken},
    issuer::{KeySource, Staleness, TrustedIssuer},
    verify::{
        AcceptedAudiences, Audience, Entry, Freshness, Issuer, KeySet, NumericDate, PublicKey, Requirement,
        Revocation, Revocations, StalePolicy, TokenCache, Verifier,
    },
};
use serde_json::json;
use tower::ServiceExt as _;

const ROUNDS: usize = 60;
const MANY: u32 = 2_000;
const FEW: u32 = 200;

/// Number of different tokens, used in turn, as requests send them. They do not all fit into the processor's cache.
const TOKENS: usize = 1_000;

const FEW_REVOCATIONS: u32 = 1_000;
const MANY_REVOCATIONS: u32 = 1_000_000;

/// Data for the measurements.
struct Bench {
    tokens: Vec<String>,
    at: Cell<usize>,
    public: PublicKey,
    keys: Arc<KeySet>,
    verifier: Verifier,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        let now = SystemClock::new().now();
        let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let modulus = key.public_key().modulus();
        let public = PublicKey::from_modulus(modulus.big_endian_without_leading_zero()).unwrap();
        let audiences = AcceptedAudiences::AnyOf(vec![Audience::new("resource-service")]);
        Self {
            tokens: (0..TOKENS).map(|number| token(&key, now, number)).collect(),
            at: Cell::new(0),
            keys: Arc::new([("kid".parse().unwrap(), public.clone())].into_iter().collect()),
            public,
            verifier: Verifier::new(Issuer::new("http://localhost:8080"), audiences),
            now,
        }
    }

    /// Index of the next token.
    fn turn(&self) -> usize {
        self.at.set((self.at.get() + 1) % TOKENS);
        self.at.get()
    }

    fn next(&self) -> &str {
        &self.tokens[self.turn()]
    }

    fn new_token(&self, revocations: &Revocations) {
        drop(black_box(self.verifier.verify(self.next(), &self.keys, revocations, self.now).unwrap()));
    }

    fn hit(&self, cache: &TokenCache, revocations: &Revocations) {
        let verdict = cache.verify_any_age(&self.verifier, self.next(), &self.keys, revocations, self.now);
        drop(black_box(verdict.unwrap()));
    }

    fn hit_after_a_revocation(&self, cache: &TokenCache, revocations: &Revocations) {
        revocations.change(|_| ());
        self.hit(cache, revocations);
    }

    /// Largest number of allocations for one request to `router`.
    fn most_over_http(&self, router: &Router) -> u64 {
        let allocations = self.tokens.iter().map(|token| {
            let request = Request::builder().uri("/").header("authorization", format!("Bearer {token}"));
            let (request, router) = (request.body(Body::empty()).unwrap(), router.clone());
            measure(|| {
                let answering = pin!(router.oneshot(request));
                let answered = answering.poll(&mut Context::from_waker(Waker::noop()));
                assert!(matches!(answered, Poll::Ready(Ok(answer)) if answer.status().is_success()));
            })
            .count_total
        });
        allocations.max().unwrap()
    }

    fn issuer(&self, revocations: &Arc<Revocations>) -> TrustedIssuer {
        let keys = Arc::new(Held(Arc::clone(&self.keys)));
        TrustedIssuer::new(self.verifier.clone(), keys, Arc::new(SystemClock::new()))
            .with_revocations(Arc::clone(revocations))
            .with_staleness(staleness())
    }
}

fn main() {
    let bench = Bench::new();
    let parts: Vec<_> = bench.tokens.iter().map(|token| token.rsplit_once('.').unwrap()).collect();
    let signatures: Vec<_> = parts.iter().map(|(_, text)| URL_SAFE_NO_PAD.decode(text).unwrap()).collect();
    let raw = || {
        let turn = bench.turn();
        assert!(bench.public.verifies(parts[turn].0.as_bytes(), &signatures[turn]));
    };
    let (none, few) = (Arc::new(Revocations::default()), revoked(FEW_REVOCATIONS, bench.now));
    let mut many = None;
    let began = Instant::now();
    let memory = measure(|| many = Some(revoked(MANY_REVOCATIONS, bench.now)));
    let caught_up = began.elapsed();
    let many = many.unwrap();
    let issuer = bench.issuer(&few);
    let whole = || drop(black_box(issuer.verify_held(bench.next()).unwrap().unwrap()));
    let caches: [TokenCache; 5] = std::array::from_fn(|_| TokenCache::default());
    // From here on every cache holds every token.
    for cache in &caches {
        each(MANY, || bench.hit(cache, &none));
    }
    each(MANY, whole);
    let mut best = [Duration::MAX; 8];
    for _ in 0..ROUNDS {
        let round = [
            each(FEW, raw),
            each(FEW, || bench.new_token(&few)),
            each(MANY, || bench.hit(&caches[0], &none)),
            each(MANY, || bench.hit(&caches[1], &few)),
            each(MANY, || bench.hit(&caches[2], &many)),
            each(MANY, || bench.hit_after_a_revocation(&caches[3], &few)),
            each(MANY, || bench.hit_after_a_revocation(&caches[4], &many)),
            each(MANY, whole),
        ];
        for (best, took) in best.iter_mut().zip(round) {
            *best = took.min(*best);
        }
    }
    report(&best, bench.tokens[0].len());
    let per_entry = memory.bytes_current as f64 / f64::from(MANY_REVOCATIONS);
    println!(
        "a revocation in memory, of {MANY_REVOCATIONS}: {per_entry:.1} bytes; the target is at most 100"
    );
    println!("{MANY_REVOCATIONS} revocations made and applied in {:.0} ms", caught_up.as_secs_f64() * 1e3);
    for (what, allocations) in [
        ("token seen before", measure(|| bench.hit(&caches[1], &few)).count_total),
        ("token seen before, with clocks and staleness", measure(whole).count_total),
        ("token new", measure(|| bench.new_token(&few)).count_total),
    ] {
        println!("allocations, {what}: {allocations}");
    }
    report_over_http(&bench, &few);
}

/// Prints the allocations that a token adds to a request, compared to a route without a token. The figure is the
/// largest over all tokens.
fn report_over_http(bench: &Bench, revocations: &Arc<Revocations>) {
    let open = || Router::new().route("/", get(async || "ok"));
    let without = bench.most_over_http(&open());
    let guard = || Guard::new(bench.issuer(revocations), "bench");
    let extractor: Router = Router::new().route("/", get(async |_: AccessToken| "ok")).with_state(guard());
    let layer = open().layer(RequireToken::new(guard(), Requirement::live()));
    for (what, router) in [("an extractor", extractor), ("a layer", layer)] {
        for age in ["new", "seen before"] {
            let with = bench.most_over_http(&router);
            let added = with - without;
            println!("allocations, token {age}, over HTTP with {what}: {added}, beside {without} without it");
        }
    }
}

fn report(best: &[Duration; 8], token_bytes: usize) {
    let nanos = best.map(|took| took.as_secs_f64() * 1e9);
    let [raw, new, hit, hit_few, hit_many, after_few, after_many, whole] = nanos;
    println!("{TOKENS} tokens of {token_bytes} bytes in turn, RS256 with 2048 bits; best of {ROUNDS} rounds");
    println!("bare RSA verification:                       {raw:>8.0} ns");
    println!(
        "token new:                                   {new:>8.0} ns, {:.2} × that; at most 1.3",
        new / raw
    );
    for (what, took) in [
        ("nothing revoked", hit),
        ("1,000 revoked", hit_few),
        ("1,000,000 revoked", hit_many),
        ("1,000 revoked, one just now", after_few),
        ("1,000,000 revoked, one just now", after_many),
        ("with clocks and staleness", whole),
    ] {
        println!(
            "token seen before, {what:<26}{took:>8.0} ns, {:.0} × cheaper than RSA; at least 15, at most 1000 ns",
            raw / took
        );
    }
    println!("1,000,000 revoked beside 1,000: {:.2} ×; at most 1.3", hit_many / hit_few);
    println!("1,000,000 revoked beside 1,000, one just now: {:.2} ×", after_many / after_few);
}

fn each(times: u32, what: impl Fn()) -> Duration {
    let began = Instant::now();
    for _ in 0..times {
        what();
    }
    began.elapsed() / times
}

fn staleness() -> Staleness {
    let freshness = Freshness::default();
    freshness.answered(Duration::ZERO);
    Staleness::new(Arc::new(freshness), Duration::MAX, StalePolicy::Deny)
}

/// Revocations of sessions that no token belongs to.
fn revoked(count: u32, now: Timestamp) -> Arc<Revocations> {
    let revocations = Revocations::default();
    let expires_at = Some(NumericDate::from_unix_seconds(now.unix_seconds() + 900));
    revocations.extend((0..count).map(|number| Entry {
        revocation: Revocation::Session(format!("019b76da-a800-7000-8000-{number:012}").parse().unwrap()),
        expires_at,
    }));
    Arc::new(revocations)
}

/// A token as a login answers it.
fn token(key: &KeyPair, now: Timestamp, number: usize) -> String {
    let now = now.unix_seconds();
    let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": "kid" });
    let claims = json!({
        "iss": "http://localhost:8080", "sub": format!("019b76da-a800-7000-8000-a{number:011}"), "aud": "resource-service",
        "exp": now + 900, "iat": now, "jti": format!("q7yGQ1cXx0VSCCcN{number:06}"), "client_id": "first-party",
        "scope": "documents:read documents:write", "roles": ["admin"], "email": "test@example.com",
        "sid": format!("019b76da-a800-7000-8000-b{number:011}"), "auth_time": now, "fresh": true, "amr": ["pwd"],
    });
    let encoded = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[derive(Debug)]
struct Held(Arc<KeySet>);

impl KeySource for Held {
    fn held(&self) -> Option<Arc<KeySet>> {
        Some(Arc::clone(&self.0))
    }

    fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
        Box::pin(std::future::ready(None))
    }
}
