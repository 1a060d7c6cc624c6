//! [`JwksClient`]: fetches the issuer's key set and keeps the last good one. It makes one fetch at a time, and at most one per
//! cool-down. Failed attempts count, so an issuer in trouble is not asked more often.

use std::{
    error::Error,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use reqwest::{
    Client, StatusCode, Url,
    header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH},
    redirect::Policy,
};
use tokio::sync::Mutex;

use super::KeySource;
use crate::verify::{InvalidKeySet, KeySet};
use crate::{clock::Clock, verify::Freshness};

/// Largest answer that is read. A set of hundreds of keys is far smaller.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// How long a set counts as current when its answer has no `Cache-Control: max-age`.
const DEFAULT_MAX_AGE: Duration = Duration::from_mins(5);

/// Interval at which [`JwksClient::poll`] checks the age of the set.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The issuer's key set, fetched over HTTP. Clones share it.
#[derive(Clone, Debug)]
pub struct JwksClient {
    inner: Arc<Inner>,
    /// Set when a stream announces new keys.
    freshness: Option<Arc<Freshness>>,
}

#[derive(Debug)]
struct Inner {
    url: Url,
    http: Client,
    clock: Arc<dyn Clock>,
    cooldown: Duration,
    held: ArcSwapOption<Held>,
    /// The version that the issuer announced last.
    announced: ArcSwapOption<String>,
    /// Number of finished fetches.
    finished: AtomicU64,
    /// Locked during a fetch: there is one at a time, and others wait for its outcome.
    last: Mutex<Option<Attempt>>,
}

/// Why a set is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    /// The set at hand may be old.
    Requested,
    /// The issuer announced this version.
    Announced(Arc<String>),
}

/// A finished fetch.
#[derive(Debug)]
struct Attempt {
    /// Counts fetches.
    number: u64,
    /// When it began, on the monotonic clock.
    at: Duration,
    reason: Reason,
    outcome: Result<Arc<KeySet>, FetchError>,
}

/// A good key set, and the instant at which it becomes old, on the monotonic clock.
#[derive(Debug)]
struct Held {
    keys: Arc<KeySet>,
    etag: Option<HeaderValue>,
    stale_at: Duration,
}

/// Why a key set could not be fetched. The last good one, if any, stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Less than a cool-down has passed since the last attempt.
    #[error("cooling down since the last attempt")]
    CoolingDown,
    /// No answer: not reached, cut off, or too slow.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// An answer that is no key set: another status than 200. Redirects are not followed.
    #[error("the answer has status {0}")]
    Status(u16),
    /// Over 256 KiB.
    #[error("the answer is larger than 256 KiB")]
    TooLarge,
    /// Not a key set, or an empty one.
    #[error("the answer is {0}")]
    Invalid(#[from] InvalidKeySet),
}

/// Why a [`JwksClient`] can't be made.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The issuer's address is not an HTTP URL.
    #[error("{0:?} is not an http or https URL; write it like http://localhost:8080")]
    Url(String),
    /// The HTTP client can't be set up.
    #[error("the HTTP client can't be set up: {0}")]
    Http(#[from] reqwest::Error),
}

crate::sentence::debug_is_sentence!(ClientError);

impl JwksClient {
    /// A client for `{base}/.well-known/jwks.json`. Nothing is fetched yet. `cooldown` is the least time between two
    /// attempts, `timeout` the most that one may take. The environment's `HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY` do not
    /// apply; [`with_http`](Self::with_http) takes a client that goes through a proxy.
    ///
    /// # Errors
    /// [`ClientError`] when `base` is no HTTP URL, or the HTTP client can't be set up.
    pub fn new(
        base: &str,
        clock: Arc<dyn Clock>,
        cooldown: Duration,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        // A redirect could lead to another origin's keys, so none is followed.
        let http = Client::builder().no_proxy().redirect(Policy::none()).timeout(timeout).build()?;
        Self::with_http(base, http, clock, cooldown)
    }

    /// The same with an HTTP client of one's own: for root certificates or a client certificate. It should have a time-out,
    /// and follow no redirects, for they could lead to another origin's keys.
    ///
    /// # Errors
    /// [`ClientError::Url`] when `base` is no HTTP URL.
    pub fn with_http(
        base: &str,
        http: Client,
        clock: Arc<dyn Clock>,
        cooldown: Duration,
    ) -> Result<Self, ClientError> {
        let url = Url::parse(&format!("{}/.well-known/jwks.json", base.trim_end_matches('/')))
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| ClientError::Url(base.to_owned()))?;
        let inner = Inner {
            url,
            http,
            clock,
            cooldown,
            held: ArcSwapOption::empty(),
            announced: ArcSwapOption::empty(),
            finished: AtomicU64::new(0),
            last: Mutex::new(None),
        };
        Ok(Self { inner: Arc::new(inner), freshness: None })
    }

    /// Holds `keys` from the start. They count as old.
    #[must_use]
    pub fn with_keys(self, keys: KeySet) -> Self {
        let held = Held { keys: Arc::new(keys), etag: None, stale_at: Duration::ZERO };
        self.inner.held.store(Some(Arc::new(held)));
        self
    }

    /// Relies on the stream to announce new keys while `freshness` is live. An unknown `kid` then causes no fetch, and nothing is
    /// polled.
    #[must_use]
    pub fn with_freshness(self, freshness: Arc<Freshness>) -> Self {
        Self { freshness: Some(freshness), ..self }
    }

    /// A newer key set, if one may be fetched now. Calls that come in during a fetch wait for its outcome and share it,
    /// good or bad.
    ///
    /// # Errors
    /// [`FetchError`]; the last good set stays.
    pub async fn refresh(&self) -> Result<Arc<KeySet>, FetchError> {
        if self
            .inner
            .last
            .try_lock()
            .is_ok_and(|last| self.inner.is_cooling_down(last.as_ref(), &Reason::Requested))
        {
            return Err(FetchError::CoolingDown);
        }
        self.attempt(Reason::Requested).await
    }

    /// Fetches the key set of a version that the issuer announced. The first fetch is at once. A cool-down follows only when it
    /// gave another version.
    ///
    /// # Errors
    /// [`FetchError`]; the last good set stays.
    pub async fn announced(&self, version: &str) -> Result<Arc<KeySet>, FetchError> {
        self.announce(version);
        match self.held().filter(|held| held.version() == Some(version)) {
            Some(held) => Ok(held),
            None => self.attempt(Reason::Announced(Arc::new(version.to_owned()))).await,
        }
    }

    async fn attempt(&self, reason: Reason) -> Result<Arc<KeySet>, FetchError> {
        let finished = self.inner.finished.load(Ordering::Acquire);
        let inner = Arc::clone(&self.inner);
        // On a task of its own: a caller that hangs up must not undo an attempt, or the cool-down would not count it.
        let attempt = tokio::spawn(async move { inner.attempt(finished, reason).await });
        attempt.await.unwrap_or_else(|error| Err(FetchError::NoAnswer(error.to_string())))
    }

    /// Whether the announced key set is at hand, and announcements arrive.
    fn is_announced(&self) -> bool {
        let is_live =
            self.freshness.as_ref().is_some_and(|freshness| freshness.is_live(self.inner.clock.monotonic()));
        let (held, announced) = (self.held(), self.inner.announced.load());
        is_live && held.is_some_and(|held| held.version() == announced.as_deref().map(String::as_str))
    }

    /// Keeps the set current until the returned future is dropped: fetches it at once, again whenever its `max-age` has
    /// passed, and after a failure again and again with the cool-down between. While the stream announces new keys it fetches
    /// nothing.
    pub async fn poll(self) {
        loop {
            let now = self.inner.clock.monotonic();
            let is_current = self.inner.held.load().as_ref().is_some_and(|held| now < held.stale_at);
            if !is_current && !self.is_announced() {
                // The failure is logged where it happened, and tried again after the cool-down.
                drop(self.refresh().await);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

impl KeySource for JwksClient {
    /// The last good key set, however old.
    fn held(&self) -> Option<Arc<KeySet>> {
        self.inner.held.load().as_ref().map(|held| Arc::clone(&held.keys))
    }

    fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
        Box::pin(async { if self.is_announced() { None } else { self.refresh().await.ok() } })
    }

    fn announce(&self, version: &str) {
        self.inner.announced.store(Some(Arc::new(version.to_owned())));
    }

    fn fetch_version<'a>(&'a self, version: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        // The failure is logged where it happened.
        Box::pin(async move { drop(self.announced(version).await) })
    }
}

impl Attempt {
    /// Whether a fetch for that reason would have had the same outcome.
    fn answers(&self, reason: &Reason) -> bool {
        match (reason, &self.outcome) {
            (Reason::Requested, _) => true,
            (Reason::Announced(version), Ok(keys)) => keys.version() == Some(version),
            (Reason::Announced(_), Err(_)) => *reason == self.reason,
        }
    }
}

impl Inner {
    /// A fetch, unless one ended since `finished` of them were over: then that one's outcome.
    async fn attempt(&self, finished: u64, reason: Reason) -> Result<Arc<KeySet>, FetchError> {
        let mut last = self.last.lock().await;
        let shared = last.as_ref().filter(|attempt| attempt.number > finished && attempt.answers(&reason));
        if let Some(attempt) = shared {
            return attempt.outcome.clone();
        }
        if self.is_cooling_down(last.as_ref(), &reason) {
            return Err(FetchError::CoolingDown);
        }
        let at = self.clock.monotonic();
        let outcome = self.fetch().await;
        self.log(&outcome);
        let number = self.finished.fetch_add(1, Ordering::AcqRel) + 1;
        *last = Some(Attempt { number, at, reason, outcome: outcome.clone() });
        outcome
    }

    /// A requested fetch waits after any attempt. An announced one waits only after an attempt for the same version.
    fn is_cooling_down(&self, last: Option<&Attempt>, reason: &Reason) -> bool {
        last.is_some_and(|attempt| {
            let counts = *reason == Reason::Requested || *reason == attempt.reason;
            counts && self.clock.monotonic().saturating_sub(attempt.at) < self.cooldown
        })
    }

    fn log(&self, outcome: &Result<Arc<KeySet>, FetchError>) {
        match outcome {
            Ok(keys) => tracing::debug!(jwks.keys = keys.len(), "key set fetched"),
            Err(error) => {
                let held = self.held.load().as_ref().map_or(0, |held| held.keys.len());
                tracing::warn!(%error, jwks.url = %self.url, jwks.held = held, "key set not fetched");
            }
        }
    }

    async fn fetch(&self) -> Result<Arc<KeySet>, FetchError> {
        let held = self.held.load_full();
        let mut request = self.http.get(self.url.clone());
        if let Some(etag) = held.as_ref().and_then(|held| held.etag.clone()) {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let sent_at = self.clock.monotonic();
        let response = request.send().await.map_err(no_answer)?;
        let stale_at = sent_at.saturating_add(max_age(response.headers()));
        let (keys, etag) = match (response.status(), held) {
            (StatusCode::OK, held) => {
                let etag = response.headers().get(ETAG).cloned();
                let fetched = KeySet::from_json(&body(response).await?)?;
                // The same set once more: tokens that were verified with it stay so.
                let same = held.filter(|held| held.keys.version() == fetched.version());
                (same.map_or_else(|| Arc::new(fetched), |held| Arc::clone(&held.keys)), etag)
            }
            (StatusCode::NOT_MODIFIED, Some(held)) => (Arc::clone(&held.keys), held.etag.clone()),
            (status, _) => return Err(FetchError::Status(status.as_u16())),
        };
        self.held.store(Some(Arc::new(Held { keys: Arc::clone(&keys), etag, stale_at })));
        Ok(keys)
    }
}

async fn body(mut response: reqwest::Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The deepest cause is the most exact: "connection refused", where the error itself only names the sending.
fn no_answer(error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    FetchError::NoAnswer(cause.to_string())
}

/// `max-age` of `Cache-Control` (RFC 9111 §5.2.2.1).
fn max_age(headers: &HeaderMap) -> Duration {
    headers
        .get_all(CACHE_CONTROL)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .filter_map(|directive| str::from_utf8(directive).ok())
        .find_map(|directive| directive.trim().strip_prefix("max-age="))
        .and_then(|seconds| seconds.trim_matches('"').parse().ok())
        .map_or(DEFAULT_MAX_AGE, Duration::from_secs)
}
