//! Model checks: one thread caches a token, others revoke it and replace its key. The checker tries every order of
//! these steps. Once the revocation or the new key set is in place, no order may accept the token. `tests/models/run` runs
//! them.

use std::sync::LazyLock;

use loom::{model::Builder, sync::Arc, thread};
use serde_json::json;

use super::*;
use crate::{
    forge::{NOW, keys, signed, verifier},
    verify::Revocation,
};

static TOKEN: LazyLock<String> = LazyLock::new(|| signed("1", &json!({ "sid": "session" })));
static READ: LazyLock<Signed> = LazyLock::new(|| Signed::read(&TOKEN, &keys(&["1"])).unwrap());
static VERIFIER: LazyLock<Verifier> = LazyLock::new(verifier);

/// Two key sets: the first contains the token's key, the second does not.
struct Shared {
    cache: TokenCache,
    revocations: Revocations,
    epochs: [Epoch; 2],
    /// Index of the current key set: 0 or 1.
    keys: AtomicU64,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            cache: TokenCache::default(),
            revocations: Revocations::default(),
            epochs: [Epoch::fresh(), Epoch::fresh()],
            keys: AtomicU64::new(0),
        })
    }

    fn verify(&self) -> Result<(), TokenError> {
        let is_first = self.keys.load(Ordering::SeqCst) == 0;
        let read = || if is_first { Ok(READ.clone()) } else { Err(TokenError::UnknownKey) };
        let epoch = self.epochs[usize::from(!is_first)];
        let now = Timestamp::from_unix_seconds(NOW);
        self.cache.verify(&VERIFIER, &TOKEN, epoch, &self.revocations, now, read).map(drop)
    }

    fn revoke(&self) {
        self.revocations.change(|set| set.add(Revocation::Session("session".parse().unwrap())));
    }

    fn rotate(&self) {
        self.keys.store(1, Ordering::SeqCst);
    }
}

/// Tries every order with at most `preemptions` interruptions.
fn every_order(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    // These are slow to build, or need more stack than a modelled thread has. They are built before the model runs.
    LazyLock::force(&READ);
    LazyLock::force(&VERIFIER);
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

#[test]
fn a_revocation_that_races_an_insert_is_not_lost() {
    every_order(5, || {
        let shared = Shared::new();
        let verifying = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || (shared.verify(), shared.verify()))
        };
        shared.revoke();
        assert_eq!(shared.verify(), Err(TokenError::Revoked));
        let (first, second) = verifying.join().unwrap();
        assert!(first.is_ok() || second.is_err(), "it came back");
        assert_eq!(shared.verify(), Err(TokenError::Revoked));
    });
}

#[test]
fn a_revocation_that_races_hits_is_not_lost() {
    every_order(3, || {
        let shared = Shared::new();
        assert_eq!(shared.verify(), Ok(()));
        let verifying = [(); 2].map(|()| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || drop(shared.verify()))
        });
        shared.revoke();
        assert_eq!(shared.verify(), Err(TokenError::Revoked));
        for thread in verifying {
            thread.join().unwrap();
        }
        assert_eq!(shared.verify(), Err(TokenError::Revoked));
    });
}

#[test]
fn insert_revocation_and_rotation_at_once_lose_nothing() {
    every_order(3, || {
        let shared = Shared::new();
        let spawn = |act: fn(&Shared)| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || act(&shared))
        };
        let verifying = spawn(|shared| drop(shared.verify()));
        let revoking = spawn(|shared| {
            shared.revoke();
            assert!(matches!(shared.verify(), Err(TokenError::Revoked | TokenError::UnknownKey)));
        });
        shared.rotate();
        assert_eq!(shared.verify(), Err(TokenError::UnknownKey));
        verifying.join().unwrap();
        revoking.join().unwrap();
        assert_eq!(shared.verify(), Err(TokenError::UnknownKey));
    });
}
