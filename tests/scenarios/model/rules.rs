//! The contract's rules for one session ("Refresh token", "Single successor") and for its access tokens. They are
//! written from its text and use no code of the service. They are pure.

/// Milliseconds, as an instant of the wall clock or as a span.
pub(super) type Millis = i64;

pub(super) const SECOND: Millis = 1_000;
pub(super) const MINUTE: Millis = 60 * SECOND;
pub(super) const HOUR: Millis = 60 * MINUTE;
pub(super) const DAY: Millis = 24 * HOUR;

pub(super) const GRACE: Millis = 10 * SECOND;
pub(super) const IDLE: Millis = 30 * DAY;
/// Shorter than the default, so that sessions also reach this limit.
pub(super) const ABSOLUTE: Millis = 40 * DAY;
pub(super) const FRESH_TTL: Millis = 15 * MINUTE;
pub(super) const REFRESHED_TTL: Millis = 5 * MINUTE;
/// An age below this counts as past: the clock was set back.
pub(super) const SET_BACK: Millis = -60 * SECOND;
/// A token minted further in the future than this is refused.
pub(super) const AHEAD: Millis = 60 * SECOND;
/// A clock that is this much ahead, in seconds, counts as right.
pub(super) const SLIGHTLY_AHEAD: i64 = 30;
/// Time that a session stays in the revocation log after its end: the longest access lifetime and one minute.
const LOGGED: Millis = FRESH_TTL + MINUTE;

/// The origin of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) agent: &'static str,
    pub(super) address: &'static str,
}

/// An act on a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Refresh { generation: u32, device: Device },
    Logout,
}

/// An answer, as the contract describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Done,
    /// A refresh token of this generation, and the lifetime of both tokens in seconds.
    Handed {
        generation: u32,
        refresh_expires_in: i64,
        expires_in: i64,
    },
    Refused,
    NotYetValid,
    Expired,
    Revoked,
    NotFresh,
    BadCredentials,
    NotFound,
}

/// The rule of the contract that decides an answer. The rules are counted, so that a rule that was never exercised is
/// noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    Rotated,
    Repeated,
    TheftOfAnOlderOne,
    TheftPastTheWindow,
    TheftWithTheClockSetBack,
    TheftFromAnotherDevice,
    OverByIdleness,
    OverByAge,
    Ended,
    LoggedOut,
}

impl Rule {
    pub(super) const ALL: [Self; 10] = [
        Self::Rotated,
        Self::Repeated,
        Self::TheftOfAnOlderOne,
        Self::TheftPastTheWindow,
        Self::TheftWithTheClockSetBack,
        Self::TheftFromAnotherDevice,
        Self::OverByIdleness,
        Self::OverByAge,
        Self::Ended,
        Self::LoggedOut,
    ];
}

/// How a session ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It was ended at `at`. `latest` is the latest time that the clock has shown since.
    Logged { at: Millis, latest: Millis },
    /// It had reached its end and was swept. The log has no entry for it.
    Swept,
}

/// One state that a session may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) account: usize,
    pub(super) generation: u32,
    pub(super) device: Device,
    pub(super) created_at: Millis,
    pub(super) rotated_at: Millis,
    end: Option<End>,
}

impl Session {
    pub(super) fn begun(account: usize, device: Device, now: Millis) -> Self {
        Self { account, generation: 0, device, created_at: now, rotated_at: now, end: None }
    }

    /// The instant at which the session ends by itself.
    pub(super) fn over_at(&self) -> Millis {
        (self.rotated_at + IDLE).min(self.created_at + ABSOLUTE)
    }

    pub(super) fn is_live(&self, now: Millis) -> bool {
        self.end.is_none() && now < self.over_at()
    }

    pub(super) fn is_ended(&self) -> bool {
        self.end.is_some()
    }

    pub(super) fn end(&mut self, now: Millis) {
        self.end.get_or_insert(End::Logged { at: now, latest: now });
    }

    pub(super) fn sweep(&mut self, now: Millis) {
        if now >= self.over_at() {
            self.end.get_or_insert(End::Swept);
        }
    }

    pub(super) fn clock_shows(&mut self, now: Millis) {
        if let Some(End::Logged { latest, .. }) = &mut self.end {
            *latest = now.max(*latest);
        }
    }

    /// Whether the log may have forgotten the session's end. Its access tokens are expired by then, unless the clock is
    /// set back.
    pub(super) fn may_be_forgotten(&self) -> bool {
        match self.end {
            None => false,
            Some(End::Logged { at, latest }) => latest >= at + LOGGED,
            Some(End::Swept) => true,
        }
    }

    /// Applies the act. Returns the answer and the rule.
    pub(super) fn act(&mut self, act: Act, now: Millis) -> (Reply, Rule) {
        let Act::Refresh { generation, device } = act else {
            self.end(now);
            return (Reply::Done, Rule::LoggedOut);
        };
        let rule = self.rule(generation, device, now);
        match rule {
            Rule::Rotated => {
                self.generation += 1;
                self.rotated_at = now;
                self.device = device;
            }
            Rule::Repeated => {}
            Rule::OverByIdleness | Rule::OverByAge | Rule::Ended => return (Reply::Refused, rule),
            _ => {
                self.end(now);
                return (Reply::Refused, rule);
            }
        }
        (self.handed(REFRESHED_TTL, now), rule)
    }

    fn rule(&self, generation: u32, device: Device, now: Millis) -> Rule {
        let age = now - self.rotated_at;
        if self.is_ended() {
            Rule::Ended
        } else if now >= self.created_at + ABSOLUTE {
            Rule::OverByAge
        } else if age >= IDLE {
            Rule::OverByIdleness
        } else if generation == self.generation {
            Rule::Rotated
        } else if generation + 1 != self.generation {
            Rule::TheftOfAnOlderOne
        } else if age > GRACE {
            Rule::TheftPastTheWindow
        } else if age < SET_BACK {
            Rule::TheftWithTheClockSetBack
        } else if device.agent != self.device.agent {
            Rule::TheftFromAnotherDevice
        } else {
            Rule::Repeated
        }
    }

    /// The token answer at this time. No access token outlives its session.
    pub(super) fn handed(&self, ttl: Millis, now: Millis) -> Reply {
        let left = self.over_at() - now;
        let (refresh_expires_in, expires_in) = (left.div_euclid(SECOND), left.min(ttl).div_euclid(SECOND));
        Reply::Handed { generation: self.generation, refresh_expires_in, expires_in }
    }
}

/// An access token from an answer, with times in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) session: usize,
    pub(super) minted_at: i64,
    pub(super) expires_at: i64,
    pub(super) is_fresh: bool,
}

impl Access {
    /// The access token of an answer at this time.
    pub(super) fn minted(session: usize, over_at: Millis, is_fresh: bool, now: Millis) -> Self {
        let ttl = if is_fresh { FRESH_TTL } else { REFRESHED_TTL };
        let (minted_at, expires_at) = (now.div_euclid(SECOND), (now + ttl).min(over_at).div_euclid(SECOND));
        Self { session, minted_at, expires_at, is_fresh }
    }

    /// The answer of an interface to the token. [`Reply::Done`] means accepted.
    pub(super) fn standing(&self, session: &Session, now: Millis) -> Reply {
        if self.is_ahead(now) {
            Reply::NotYetValid
        } else if self.expires_at * SECOND <= now {
            Reply::Expired
        } else if session.is_ended() {
            Reply::Revoked
        } else {
            Reply::Done
        }
    }

    pub(super) fn is_ahead(&self, now: Millis) -> bool {
        self.minted_at * SECOND > now + AHEAD
    }
}
