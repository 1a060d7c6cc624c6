//! Parts for unit tests, each alone: a database in a folder of its own, a clock that the test moves, and keys.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use countermark::{
    clock::{Clock, ManualClock, Timestamp},
    random::SeededRandom,
};
use countermark_service::{env::Env, settings::Settings};
use tempfile::TempDir;

use super::{
    Context,
    keys::{Keys, proof_key, refresh_keys, signing},
    oauth::Clients,
    sessions::Sessions,
    tokens::Tokens,
    watch::Watch,
};
use crate::{
    config::{Config, SETTINGS},
    domain::{
        account::{Account, AccountId},
        audit::Event,
        client::{Client, ClientId},
        password::{Attempt, HashMemory, Password, hash},
        secret::Secret,
        session::{Device, Generation, Session, SessionId, SessionSecret},
        watcher::ProcessId,
    },
    feed::watchers::Watchers,
    keys::{KeyMaterial, master_key::MasterKey, proof_key::ProofKey, ring::KeyRing, seal::Sealer},
    store::Store,
};

/// The password of [`Bench::account`].
pub(super) const PASSWORD: &str = "a plain pass phrase";

/// What each part is built from.
pub(super) struct Bench {
    pub(super) context: Context,
    ring: Arc<KeyRing>,
    material: std::cell::RefCell<Option<KeyMaterial>>,
    _folder: TempDir,
}

impl Bench {
    pub(super) async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}", folder.path().join("auth.db").display());
        let settings = BTreeMap::from([("AUTH_DATABASE_URL".to_owned(), database)]);
        let config = Config::parse(&Settings::from_pairs(SETTINGS, settings).unwrap()).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)));
        let env = Env { clock, random: Arc::new(SeededRandom::new(1)) };
        let (random, now) = (&*env.random, env.clock.now());
        let store = Store::open(config.database.clone(), None).unwrap();
        let sealer = Sealer::new(&MasterKey::from_bytes([7; 32])).unwrap();
        let sealing = signing::sealing(&store, sealer, random).await.unwrap();
        let ring = Arc::new(signing::signing_ring(&store, &sealing, random, now).await.unwrap());
        let refresh = refresh_keys::read_or_make(&store, &sealing, random, now).await.unwrap();
        let positions = proof_key::read_or_make(&store, &sealing, random).await.unwrap();
        let material = KeyMaterial {
            ring: Arc::clone(&ring),
            refresh: ArcSwap::from_pointee(refresh),
            positions,
            sealing: ArcSwap::from_pointee(sealing),
            master_key_file: folder.path().join("master.key"),
        };
        store.open_log(countermark::verify::LogId::new([1; 16]), config.policy.access_ttl).await.unwrap();
        let context = Context::open(store, env, config.policy).unwrap();
        Self { context, ring, material: Some(material).into(), _folder: folder }
    }

    pub(super) fn watch(&self) -> Watch {
        Watch::new(
            self.context.clone(),
            Arc::clone(&self.ring),
            Watchers::new(ProcessId::from_bytes([2; 16])),
            ProofKey::new(&[8; 32]),
        )
    }

    /// To be called once.
    pub(super) fn keys(&self) -> Arc<Keys> {
        let material = self.material.take().unwrap();
        Arc::new(Keys::new(self.context.clone(), material, Arc::new(self.watch())))
    }

    pub(super) fn tokens(&self) -> Arc<Tokens> {
        Arc::new(Tokens::new(self.context.clone(), self.keys()))
    }

    pub(super) fn clients(&self) -> Clients {
        Clients::new(self.context.clone(), self.tokens())
    }

    pub(super) fn sessions(&self) -> Sessions {
        let keys = self.keys();
        let tokens = Arc::new(Tokens::new(self.context.clone(), Arc::clone(&keys)));
        Sessions::new(self.context.clone(), keys, tokens)
    }

    /// An account that is not stored.
    pub(super) fn account(&self) -> Account {
        let password = Password::try_from(Attempt::from(PASSWORD.to_owned())).unwrap();
        Account {
            id: AccountId::from_bytes([3; 16]),
            email: "test@example.com".parse().unwrap(),
            password_hash: hash(&password, [4; 16], &mut HashMemory::default()).unwrap(),
            roles: vec!["admin".parse().unwrap()],
            created_at: self.context.clock.now(),
            disabled_at: None,
        }
    }

    /// A session of that account that is not stored.
    pub(super) fn session(&self) -> Session {
        Session {
            id: SessionId::from_bytes([5; 16]),
            account: AccountId::from_bytes([3; 16]),
            client: ClientId::first_party(),
            secret: SessionSecret::from_bytes([6; 32]),
            generation: Generation::default(),
            created_at: self.context.clock.now(),
            rotated_at: self.context.clock.now(),
            device: Device::default(),
            revoked_at: None,
            ended_by: None,
        }
    }

    /// The client `billing`, which is not stored.
    pub(super) fn introspector() -> Arc<Client> {
        Arc::new(Client {
            id: "billing".parse().unwrap(),
            secrets: Vec::new(),
            jwks: None,
            grants: vec!["client_credentials".parse().unwrap()],
            scopes: "introspect".parse().unwrap(),
            audiences: Vec::new(),
            roles: Vec::new(),
            is_enabled: true,
        })
    }

    /// Stores the client `billing`, and returns its secret.
    pub(super) async fn register_client(&self) -> String {
        let secret = Secret::random("cs_", &*self.context.random).unwrap();
        let mut client = Arc::unwrap_or_clone(Self::introspector());
        client.secrets = vec![secret.hash()];
        let why = self.context.audit(Event::ClientAdded, &Device::default());
        assert!(self.context.store.add_client(client, self.context.clock.now(), why).await.unwrap());
        self.context.registry.catch_up().unwrap();
        secret.as_str().to_owned()
    }

    /// Disables it, as another process would.
    pub(super) async fn disable_client(&self) {
        let why = self.context.audit(Event::ClientDisabled, &Device::default());
        let now = self.context.clock.now();
        let at = countermark::verify::NumericDate::from_unix_seconds(now.unix_seconds());
        let revocation = countermark::verify::Revocation::Client("billing".parse().unwrap(), at);
        let id = Self::introspector().id.clone();
        self.context.store.set_client_enabled(id, Some(revocation), now, why).await.unwrap();
        self.context.registry.catch_up().unwrap();
        self.context.feed.catch_up().unwrap();
    }
}
