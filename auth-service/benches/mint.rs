//! What minting costs, beside a bare RSA signature in the same run: `cargo bench --bench mint`.
//!
//! The ratio is what counts; the absolute figures are the machine's.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use auth_service::{
    app,
    config::{Config, SETTINGS},
    domain::{
        account::{Account, AccountId},
        client::ClientId,
        password::dummy_hash,
        session::{Device, Generation, Session, SessionId, SessionSecret},
    },
    ops::{
        AuthService,
        tokens::mint::{Delivery, MintContext},
    },
};
use aws_lc_rs::{
    rand::SystemRandom as SigningRandom,
    rsa::{KeyPair, KeySize},
    signature::RSA_PKCS1_SHA256,
};
use countermark::clock::{Clock, SystemClock};
use countermark_service::{env::Env, settings::Settings};

/// Rounds, alternating between the two, so that whatever else the machine does meets both.
const ROUNDS: usize = 40;
const SIGNATURES: u32 = 100;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let auth = runtime.block_on(auth(folder.path()));
    let (account, session) = (account(&*clock), session(&*clock));
    // One is good for as long as the second lasts.
    let subject = account.id.to_string();
    let permit = auth.tokens.mint_permit(&subject, session.client.as_str(), clock.now());
    let permit = runtime.block_on(permit).unwrap();
    let mint = || {
        black_box(
            auth.tokens
                .mint_tokens(&account, &session, MintContext::login(Delivery::Body), &permit, clock.now())
                .unwrap()
                .access_token
                .len(),
        )
    };

    let raw = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let random = SigningRandom::new();
    let (message, mut signature) = ([7; 700], vec![0; raw.public_modulus_len()]);
    let mut sign = || {
        raw.sign(&RSA_PKCS1_SHA256, &random, black_box(&message), &mut signature).unwrap();
        black_box(signature.len())
    };

    let (mut minted, mut signed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        signed.push(time(&mut sign));
        minted.push(time(mint));
    }
    let (signed, minted) = (median(signed), median(minted));
    println!("raw RSA-2048 signature, key parsed once   {signed:>10.1?}");
    println!("minting, claims and refresh token included {minted:>9.1?}");
    println!(
        "minting / raw signing, in signatures per second: {:.3} (target 0.9)",
        signed.as_secs_f64() / minted.as_secs_f64()
    );
}

fn time(mut work: impl FnMut() -> usize) -> Duration {
    let started = Instant::now();
    for _ in 0..SIGNATURES {
        work();
    }
    started.elapsed() / SIGNATURES
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

async fn auth(folder: &std::path::Path) -> Arc<AuthService> {
    let at = |name: &str| folder.join(name).display().to_string();
    let settings = [
        ("AUTH_DATABASE_URL", format!("sqlite://{}", at("auth.db"))),
        ("AUTH_MASTER_KEY_FILE", at("master.key")),
    ];
    let config = Config::parse(&Settings::from_pairs(SETTINGS, settings).unwrap()).unwrap();
    app::open(&config, &Env::default()).await.unwrap().1
}

fn account(clock: &dyn Clock) -> Account {
    Account {
        id: AccountId::from_bytes([1; 16]),
        email: "test@example.com".parse().unwrap(),
        password_hash: dummy_hash(),
        roles: vec!["admin".parse().unwrap()],
        created_at: clock.now(),
        disabled_at: None,
    }
}

fn session(clock: &dyn Clock) -> Session {
    Session {
        id: SessionId::from_bytes([2; 16]),
        account: AccountId::from_bytes([1; 16]),
        client: ClientId::first_party(),
        secret: SessionSecret::from_bytes([3; 32]),
        generation: Generation::default(),
        created_at: clock.now(),
        rotated_at: clock.now(),
        device: Device::default(),
        revoked_at: None,
        ended_by: None,
    }
}
