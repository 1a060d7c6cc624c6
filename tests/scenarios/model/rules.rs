//! What the contract says of one session ("Refresh token", "Single successor") and of its access tokens, written from its
//! text and with nothing of the service's own. Pure.

/// Milliseconds, of the wall clock or of a span.
pub(super) type Millis = i64;

pub(super) const SECOND: Millis = 1_000;
pub(super) const MINUTE: Millis = 60 * SECOND;
pub(super) const HOUR: Millis = 60 * MINUTE;
pub(super) const DAY: Millis = 24 * HOUR;

pub(super) const GRACE: Millis = 10 * SECOND;
pub(super) const IDLE: Millis = 30 * DAY;
/// Less than the default, so that sessions come to that end, too.
pub(super) const ABSOLUTE: Millis = 40 * DAY;
pub(super) const FRESH_TTL: Millis = 15 * MINUTE;
pub(super) const REFRESHED_TTL: Millis = 5 * MINUTE;
/// An age below it is past: the clock was set back.
pub(super) const SET_BACK: Millis = -60 * SECOND;
/// A token minted further ahead than that is refused.
pub(super) const AHEAD: Millis = 60 * SECOND;
/// For how long after its end a session stands in the revocation log: the longest access lifetime and a minute.
const LOGGED: Millis = FRESH_TTL + MINUTE;

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) agent: &'static str,
    pub(super) address: &'static str,
}

/// What is done to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Refresh { generation: u32, device: Device },
    Logout,
}

/// What the contract has an answer say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Done,
    /// The refresh token of that generation, and how many seconds both tokens live.
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

/// Which sentence of the contract an answer follows from; counted, so that nobody believes in a rule that was never tried.
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
    /// It was ended then; the latest that the clock has shown since.
    Logged { at: Millis, latest: Millis },
    /// It had come to its end, and was swept. Nothing is logged of that.
    Swept,
}

/// One state that a session may be in.
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

    /// When it comes to its end by itself.
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

    /// Whether the log may have forgotten its end. Access tokens of it are dead by then, unless the clock is set back.
    pub(super) fn may_be_forgotten(&self) -> bool {
        match self.end {
            None => false,
            Some(End::Logged { at, latest }) => latest >= at + LOGGED,
            Some(End::Swept) => true,
        }
    }

    /// Does it, and says what is answered and why.
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

    /// The token answer now. No access token outlives its session.
    pub(super) fn handed(&self, ttl: Millis, now: Millis) -> Reply {
        let left = self.over_at() - now;
        let (refresh_expires_in, expires_in) = (left.div_euclid(SECOND), left.min(ttl).div_euclid(SECOND));
        Reply::Handed { generation: self.generation, refresh_expires_in, expires_in }
    }
}

/// An access token that was handed out; times in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) session: usize,
    pub(super) minted_at: i64,
    pub(super) expires_at: i64,
    pub(super) is_fresh: bool,
}

impl Access {
    /// The token of an answer now.
    pub(super) fn minted(session: usize, over_at: Millis, is_fresh: bool, now: Millis) -> Self {
        let ttl = if is_fresh { FRESH_TTL } else { REFRESHED_TTL };
        let (minted_at, expires_at) = (now.div_euclid(SECOND), (now + ttl).min(over_at).div_euclid(SECOND));
        Self { session, minted_at, expires_at, is_fresh }
    }

    /// How a door takes it: [`Reply::Done`] when it lets it in.
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
