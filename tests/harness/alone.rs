//! resource-service on its own, with a fake issuer.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use countermark::{
    clock::{ManualClock, Timestamp},
    random::SeededRandom,
};
use countermark_service::env::Env;
use resource_service::app::App;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{
    Answer, Http,
    issuer::FakeIssuer,
    jws::RsaKey,
    until,
    world::{AUDIENCE, BEGINNING, ISSUER, Running, resource_config, seed},
};

/// The service, and its clock.
#[derive(Debug)]
pub struct Alone {
    pub clock: ManualClock,
    pub http: Http,
    pub ops: Http,
    running: Option<Running>,
    /// The service's files. They are deleted with this value.
    _folder: TempDir,
}

impl Alone {
    /// Starts the service. It may never become ready.
    pub fn before(issuer: &FakeIssuer, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_unix_seconds(BEGINNING));
        let mut all = BTreeMap::from([
            ("RESOURCE_HTTP_ADDR".to_owned(), "127.0.0.1:0".to_owned()),
            ("RESOURCE_OPS_ADDR".to_owned(), "127.0.0.1:0".to_owned()),
            ("RESOURCE_ISSUER".to_owned(), ISSUER.to_owned()),
            ("RESOURCE_AUTH_URL".to_owned(), issuer.url()),
            ("RESOURCE_DATABASE_URL".to_owned(), format!("sqlite://{}/resource.db", folder.path().display())),
        ]);
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let env = Env { clock: Arc::new(clock.clone()), random: Arc::new(SeededRandom::new(seed())) };
        let app = App::bind(resource_config(all).unwrap(), env).unwrap();
        let (http, ops) = (Http::at(app.http_addr()), Http::at(app.ops_addr()));
        let stop = CancellationToken::new();
        let running = Some(Running::start(app.run(stop.clone()), stop));
        Self { clock, http, ops, running, _folder: folder }
    }

    /// Starts the service and waits until it is ready.
    pub async fn ready(issuer: &FakeIssuer, settings: &[(&str, &str)]) -> Self {
        let alone = Self::before(issuer, settings);
        alone.is_ready().await;
        alone
    }

    /// Waits until the service reports that it is ready.
    pub async fn is_ready(&self) {
        until("resource-service is ready", || async {
            (self.ops.get("/health/ready").await.status == 200).then_some(())
        })
        .await;
    }

    pub async fn show(&self, token: &str) -> Answer {
        self.http.get("/protected-route").bearer(token).await
    }

    /// Moves the clock forward.
    pub fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }

    pub async fn stop(mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        Running::stop_all(self.running.take());
    }
}

/// A token of the fake issuer, signed by `key` under the key's own `kid`. It does not expire during a test.
pub fn token_by(key: &RsaKey) -> String {
    token_under(key, &key.kid())
}

/// A token of the fake issuer, signed by `key` under another `kid`.
pub fn token_under(key: &RsaKey, kid: &str) -> String {
    key.token(&json!({"alg": "RS256", "typ": "at+jwt", "kid": kid}), &claims())
}

fn claims() -> Value {
    json!({"iss": ISSUER, "sub": "somebody", "aud": AUDIENCE, "exp": BEGINNING + 1_000_000_000})
}
