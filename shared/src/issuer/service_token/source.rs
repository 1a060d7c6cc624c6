//! [`ServiceTokens`]: holds a token and fetches the next. There is one request at a time; all callers that wait share its
//! outcome.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{
    InvalidConfig, ServiceTokenConfig, ServiceTokenError,
    request::{Issued, TokenRequest},
};
use crate::{
    clock::{Clock, Timestamp},
    issuer::credentials::bearer,
    random::Random,
};

/// A token is not shown in the last part of its life: the call has to arrive, and clocks differ.
const LONGEST_MARGIN: Duration = Duration::from_secs(10);

/// One that is refused so soon after it was issued is not what is wrong: another would be refused, too.
const YOUNG: Duration = Duration::from_secs(10);

/// The pause after the first failure; it doubles from failure to failure.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause between two fetches that fail.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How often [`ServiceTokens::keep_current`] looks whether the token is due.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Where a program's own token comes from. Clones share it.
///
/// A token is fetched when it is first asked for, and renewed after 80 to 90 % of its life: by
/// [`keep_current`](Self::keep_current) where that runs, otherwise when it is asked for next. Nobody waits for a renewal as
/// long as the token that is held is good. After a failure there is a pause, which grows up to 30 s.
#[derive(Clone)]
pub struct ServiceTokens(Arc<Inner>);

struct Inner {
    request: TokenRequest,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    held: ArcSwapOption<ServiceToken>,
    /// Number of finished fetches.
    finished: AtomicU64,
    /// Locked during a fetch, so that there is one at a time.
    last: Mutex<Option<Attempt>>,
}

/// A finished fetch.
struct Attempt {
    /// Counts fetches.
    number: u64,
    outcome: Result<Arc<ServiceToken>, ServiceTokenError>,
    /// How many failed in a row, up to this one.
    failures: u32,
    /// When the next may begin, on the monotonic clock.
    next_at: Duration,
}

/// A token, and how long it is good.
pub struct ServiceToken {
    value: Zeroizing<String>,
    authorization: HeaderValue,
    scope: String,
    /// On the monotonic clock, as the two below: when it was asked for.
    asked_at: Duration,
    due_at: Duration,
    dead_at: Duration,
    /// On the wall clock: on some systems the monotonic one stands still while the machine sleeps.
    expires_at: Timestamp,
}

impl ServiceTokens {
    /// A source as `config` says. Nothing is fetched yet.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the setting that can't be used.
    pub fn new(config: ServiceTokenConfig) -> Result<Self, InvalidConfig> {
        Ok(Self(Arc::new(Inner {
            request: config.request()?,
            clock: config.clock,
            random: config.random,
            held: ArcSwapOption::empty(),
            finished: AtomicU64::new(0),
            last: Mutex::new(None),
        })))
    }

    /// A token that is good. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`ServiceTokenError`] when none is held and none can be had; in the pause after a failure, the one that it was.
    pub async fn token(&self) -> Result<Arc<ServiceToken>, ServiceTokenError> {
        match self.held() {
            Some(token) if !self.is_due(&token) => Ok(token),
            Some(token) => {
                if self.0.last.try_lock().is_ok_and(|last| !self.0.is_pausing(last.as_ref())) {
                    tokio::spawn(self.clone().renew());
                }
                Ok(token)
            }
            None => self.clone().renew().await,
        }
    }

    /// Keeps a good token at hand until the returned future is dropped: fetches one at once, and renews it when it is due.
    /// A failure is logged, and tried again.
    pub async fn keep_current(self) {
        loop {
            if self.held().is_none_or(|token| self.is_due(&token)) {
                // The failure is logged where it happened.
                drop(self.clone().renew().await);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Another token than one that was refused; `None` when there is none, or that one is too young for another to help.
    pub(super) async fn instead_of(&self, refused: &Arc<ServiceToken>) -> Option<Arc<ServiceToken>> {
        if let Some(other) = self.held().filter(|held| !Arc::ptr_eq(held, refused)) {
            return Some(other);
        }
        let age = self.0.clock.monotonic().saturating_sub(refused.asked_at);
        if age < YOUNG { None } else { self.clone().renew().await.ok() }
    }

    fn held(&self) -> Option<Arc<ServiceToken>> {
        let (now, monotonic) = (self.0.clock.now(), self.0.clock.monotonic());
        let held = self.0.held.load_full();
        held.filter(|token| monotonic < token.dead_at && now < token.expires_at)
    }

    fn is_due(&self, token: &ServiceToken) -> bool {
        self.0.clock.monotonic() >= token.due_at
    }

    /// Fetches a token, unless a fetch is under way: then its outcome is this one's.
    async fn renew(self) -> Result<Arc<ServiceToken>, ServiceTokenError> {
        let finished = self.0.finished.load(Ordering::Acquire);
        // On a task of its own: a caller that hangs up must not undo what others wait for.
        let attempt = tokio::spawn(async move { self.0.attempt(finished).await });
        attempt.await.unwrap_or_else(|error| Err(ServiceTokenError::Unavailable(error.to_string())))
    }
}

impl Inner {
    /// A fetch, unless one ended since `finished` of them were over: then that one's outcome.
    async fn attempt(&self, finished: u64) -> Result<Arc<ServiceToken>, ServiceTokenError> {
        let mut last = self.last.lock().await;
        if let Some(attempt) = last.as_ref()
            && (attempt.number > finished || self.is_pausing(Some(attempt)))
        {
            return attempt.outcome.clone();
        }
        let outcome = self.fetch().await;
        let number = self.finished.fetch_add(1, Ordering::AcqRel) + 1;
        let (failures, pause) = match &outcome {
            Ok(token) => {
                self.held.store(Some(Arc::clone(token)));
                tracing::debug!(token.scope = token.scope, "service token fetched");
                (0, Duration::ZERO)
            }
            Err(error) => {
                let failures = last.as_ref().map_or(0, |last| last.failures).saturating_add(1);
                tracing::warn!(%error, failures, "service token not fetched");
                let pause = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(8)).min(LONGEST_PAUSE);
                (failures, self.random.jittered(pause))
            }
        };
        let next_at = self.clock.monotonic().saturating_add(pause);
        *last = Some(Attempt { number, outcome: outcome.clone(), failures, next_at });
        outcome
    }

    fn is_pausing(&self, last: Option<&Attempt>) -> bool {
        last.is_some_and(|last| self.clock.monotonic() < last.next_at)
    }

    async fn fetch(&self) -> Result<Arc<ServiceToken>, ServiceTokenError> {
        let (now, asked_at) = (self.clock.now(), self.clock.monotonic());
        let Issued { access_token, expires_in, scope, .. } = self.request.send(now, &*self.random).await?;
        let authorization = bearer(&access_token)
            .map_err(|_| ServiceTokenError::Malformed("no header can carry the token"))?;
        let life = Duration::from_secs(expires_in);
        let shown_for = life.saturating_sub(LONGEST_MARGIN.min(life / 10));
        Ok(Arc::new(ServiceToken {
            value: access_token,
            authorization,
            scope,
            asked_at,
            due_at: asked_at.saturating_add(life / 10 * 7).saturating_add(self.random.jittered(life / 5)),
            dead_at: asked_at.saturating_add(shown_for),
            expires_at: now.after(shown_for),
        }))
    }
}

impl ServiceToken {
    /// The token itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// The value of the header or metadata entry `authorization` that shows it. It is marked as sensitive.
    #[must_use]
    pub fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    /// What it may be used for, space-separated, as the issuer said.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }
}

impl fmt::Debug for ServiceToken {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceToken")
            .field("scope", &self.scope)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ServiceTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceTokens").field("held", &*self.0.held.load()).finish_non_exhaustive()
    }
}
