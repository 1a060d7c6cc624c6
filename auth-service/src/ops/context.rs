//! The handles that the parts of the service share: the store, what is held in memory of it, time, randomness and the
//! policy. Each part has a clone. Keys and sessions' secrets are not among them.

use std::sync::{Arc, Mutex, PoisonError};

use countermark::{
    clock::{Clock, ConservativeClock, Timestamp},
    random::Random,
    verify::Audience,
};
use countermark_service::env::Env;

use super::{
    error::TooManyTries,
    refusals::{Refusals, Refused},
};
use crate::{
    config::Policy,
    domain::{
        audit::{AuditEntry, Event},
        granting::{Grant, GrantLimit, GrantRequest, NotGranted},
        login_limits::Wait,
        session::{Device, Session},
        token_limits::{Subjects, TokenTries, TokenUse},
    },
    feed::{Feed, registry::RegistryFeed},
    store::{Store, StoreError, end_sessions::ClockDoubt},
};

/// The shared handles. Clones are cheap.
#[derive(Clone, Debug)]
pub struct Context {
    pub(in crate::ops) store: Store,
    /// The revocation log, in memory.
    pub(in crate::ops) feed: Feed,
    /// Audiences and clients, in memory.
    pub(in crate::ops) registry: RegistryFeed,
    pub(in crate::ops) clock: Arc<dyn Clock>,
    pub(in crate::ops) random: Arc<dyn Random>,
    pub(in crate::ops) policy: Arc<Policy>,
    conservative: Arc<Mutex<ConservativeClock>>,
    /// What was asked for with tokens a moment ago, at this process: a refresh writes once as it is.
    token_tries: Arc<Mutex<TokenTries>>,
    /// What was refused since it was last written to the audit trail.
    pub(in crate::ops) refusals: Arc<Refusals>,
    /// How far the wall clock was ahead of the monotonic one when this process began, in milliseconds.
    offset: i64,
}

/// A wall clock that was corrected by less than this was not set: half of what verifiers tolerate.
const CORRECTION: i64 = 30_000;

impl Context {
    /// Reads the revocation log and the registry of `store` into memory.
    pub fn open(store: Store, Env { clock, random }: Env, policy: Policy) -> Result<Self, StoreError> {
        Ok(Self {
            feed: Feed::open(store.clone(), Arc::clone(&clock))?,
            registry: RegistryFeed::open(store.clone())?,
            store,
            offset: offset(&*clock),
            clock,
            random,
            policy: Arc::new(policy),
            conservative: Arc::default(),
            token_tries: Arc::default(),
            refusals: Arc::default(),
        })
    }

    /// Counts a request with an authentic token, or of a client that authenticated.
    ///
    /// # Errors
    /// [`TooManyTries`] when a limit is reached. Then it counts for nobody.
    pub(in crate::ops) fn take_token_try(
        &self,
        usage: TokenUse,
        subjects: Subjects,
    ) -> Result<(), TooManyTries> {
        let (limits, now) = (&self.policy.token_limits, self.clock.monotonic());
        let mut tries = self.token_tries.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = tries.take(limits, usage, &subjects, now);
        drop(tries);
        taken.map_err(|Wait(wait)| {
            let Subjects { account, client, .. } = subjects;
            self.refusals.count(Refused { event: Event::LimitReached, account, client, what: usage.name() });
            TooManyTries(wait)
        })
    }

    /// Whether the wall clock was set since this process began.
    pub(in crate::ops) fn clock_doubt(&self) -> ClockDoubt {
        let change = offset(&*self.clock).saturating_sub(self.offset);
        if change.abs() > CORRECTION { ClockDoubt::WasSet } else { ClockDoubt::None }
    }

    /// An instant that has passed for certain: the clock has said so for as long as an access token lives, and a minute.
    /// `None` until then.
    pub(in crate::ops) fn certain_now(&self) -> Result<Option<Timestamp>, StoreError> {
        let span = self.store.longest_match()?;
        Ok(self.conservative.lock().unwrap_or_else(PoisonError::into_inner).look(&*self.clock, span))
    }

    /// The issuer as an audience: it owns the scope `introspect`.
    pub(in crate::ops) fn issuer_audience(&self) -> Audience {
        Audience::new(self.policy.issuer.as_str())
    }

    /// Grants `asked`, out of `limit`.
    pub(in crate::ops) fn grant(
        &self,
        limit: &GrantLimit,
        asked: &GrantRequest,
    ) -> Result<Grant, NotGranted> {
        limit.grant(asked, &self.registry.now(), &self.issuer_audience())
    }

    /// An audit entry that names no account, session or client yet.
    pub(in crate::ops) fn audit(&self, event: Event, device: &Device) -> AuditEntry {
        AuditEntry {
            at: self.clock.now(),
            event,
            account: None,
            session: None,
            client: None,
            device: device.clone(),
            detail: None,
        }
    }

    /// An audit entry about a session.
    pub(in crate::ops) fn audit_session(
        &self,
        event: Event,
        session: &Session,
        device: &Device,
    ) -> AuditEntry {
        AuditEntry {
            account: Some(session.account),
            session: Some(session.id),
            client: Some(session.client.clone()),
            ..self.audit(event, device)
        }
    }
}

fn offset(clock: &dyn Clock) -> i64 {
    let monotonic = i64::try_from(clock.monotonic().as_millis()).unwrap_or(i64::MAX);
    clock.now().unix_millis().saturating_sub(monotonic)
}
