//! Limits on how often a session, an account or a client asks for tokens, or revokes them.

use std::{cmp::Reverse, collections::HashMap, hash::Hash, str::FromStr, time::Duration};

use countermark::verify::Claims;

use super::{
    account::AccountId,
    client::ClientId,
    login_limits::{Rate, Wait, read_limits},
    session::{Session, SessionId},
};

/// Most subjects of a kind whose requests are remembered. At more, those go that would be forgotten first.
const MOST: usize = 32_768;

/// The limits on requests for tokens and on revocations. `None` switches a limit off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLimits {
    /// Requests with tokens of one session.
    pub session: Option<Rate>,
    /// Requests with tokens of one account.
    pub account: Option<Rate>,
    /// Requests of one registered client.
    pub client: Option<Rate>,
}

/// The text is not a list of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no list of limits; write it like session=60/min,account=600/min,client=off, or off")]
pub struct InvalidTokenLimits;

/// What a token is used for. Each use is counted by itself: whoever refreshes without end keeps nobody from revoking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenUse {
    /// It is exchanged for another token.
    Issue,
    /// It is revoked.
    Revoke,
}

impl TokenUse {
    /// The use in a few words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issue => "a request for tokens",
            Self::Revoke => "a revocation",
        }
    }
}

/// Whom a request counts for. Each of them was proven: by a token of theirs, or by a client's credentials.
#[derive(Clone, Debug, Default)]
pub struct Subjects {
    /// The session of the token.
    pub session: Option<SessionId>,
    /// The account of the token.
    pub account: Option<AccountId>,
    /// The client.
    pub client: Option<ClientId>,
}

/// The requests of a moment ago. `now` is an instant on the monotonic clock.
#[derive(Debug, Default)]
pub struct TokenTries {
    sessions: Counts<SessionId>,
    accounts: Counts<AccountId>,
    clients: Counts<ClientId>,
}

/// For each subject, the instant at which all its requests are forgotten.
#[derive(Debug)]
struct Counts<K>(HashMap<(TokenUse, K), Duration>);

/// A request that is counted unless another limit is reached.
type Taken<K> = Option<((TokenUse, K), Duration)>;

impl TokenLimits {
    const OFF: Self = Self { session: None, account: None, client: None };

    /// The defaults of limits that the setting does not name.
    const DEFAULT: Self = Self {
        session: Some(Rate { count: 60, per: Duration::from_mins(1) }),
        account: Some(Rate { count: 600, per: Duration::from_mins(1) }),
        client: None,
    };
}

impl FromStr for TokenLimits {
    type Err = InvalidTokenLimits;

    fn from_str(text: &str) -> Result<Self, InvalidTokenLimits> {
        if text == "off" {
            return Ok(Self::OFF);
        }
        let mut limits = Self::DEFAULT;
        let Self { session, account, client } = &mut limits;
        read_limits(text, [("session", session), ("account", account), ("client", client)])
            .map_err(|_| InvalidTokenLimits)?;
        Ok(limits)
    }
}

impl From<&Session> for Subjects {
    fn from(session: &Session) -> Self {
        Self { session: Some(session.id), account: Some(session.account), client: None }
    }
}

impl From<&Claims> for Subjects {
    /// The session and the account of a user's access token. A service token has neither.
    fn from(claims: &Claims) -> Self {
        Self {
            session: claims.sid.as_ref().and_then(|sid| sid.as_str().parse().ok()),
            account: claims.sub.as_str().parse().ok(),
            client: None,
        }
    }
}

impl TokenTries {
    /// Counts a request for each of `subjects`. If the limit of any is reached, counts it for none of them.
    ///
    /// # Errors
    /// [`Wait`] until the last of the limits opens.
    pub fn take(
        &mut self,
        limits: &TokenLimits,
        usage: TokenUse,
        subjects: &Subjects,
        now: Duration,
    ) -> Result<(), Wait> {
        let session = self.sessions.taken(limits.session, usage, subjects.session.as_ref(), now);
        let account = self.accounts.taken(limits.account, usage, subjects.account.as_ref(), now);
        let client = self.clients.taken(limits.client, usage, subjects.client.as_ref(), now);
        match (session, account, client) {
            (Ok(session), Ok(account), Ok(client)) => {
                self.sessions.put(session, now);
                self.accounts.put(account, now);
                self.clients.put(client, now);
                Ok(())
            }
            (session, account, client) => {
                let waits = [session.err(), account.err(), client.err()];
                Err(waits.into_iter().flatten().max_by_key(|wait| wait.0).unwrap_or(Wait(Duration::ZERO)))
            }
        }
    }
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash> Counts<K> {
    fn taken(
        &self,
        rate: Option<Rate>,
        usage: TokenUse,
        subject: Option<&K>,
        now: Duration,
    ) -> Result<Taken<K>, Wait> {
        let Some((rate, subject)) = rate.zip(subject) else { return Ok(None) };
        let subject = (usage, subject.clone());
        let used = self.0.get(&subject).map_or(Duration::ZERO, |at| at.saturating_sub(now));
        let used = rate.fill(used)?;
        Ok(Some((subject, now.saturating_add(used))))
    }

    fn put(&mut self, taken: Taken<K>, now: Duration) {
        let Some((subject, forgotten_at)) = taken else { return };
        if self.0.len() >= MOST && !self.0.contains_key(&subject) {
            self.make_room(now);
        }
        self.0.insert(subject, forgotten_at);
    }

    /// Forgets at least half. Those who asked most stay: a limit that is reached opens for nobody who asks for others.
    fn make_room(&mut self, now: Duration) {
        self.0.retain(|_, forgotten_at| *forgotten_at > now);
        if self.0.len() <= MOST / 2 {
            return;
        }
        let mut latest: Vec<_> = self.0.values().copied().map(Reverse).collect();
        let (_, Reverse(middle), _) = latest.select_nth_unstable(MOST / 2);
        let middle = *middle;
        self.0.retain(|_, forgotten_at| *forgotten_at > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn session(number: u32) -> SessionId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        SessionId::from_bytes(bytes)
    }

    fn of(number: u32, account: u8) -> Subjects {
        let account = Some(AccountId::from_bytes([account; 16]));
        Subjects { session: Some(session(number)), account, client: None }
    }

    fn limits(text: &str) -> TokenLimits {
        text.parse().unwrap()
    }

    #[test]
    fn limits_that_are_not_named_keep_their_default() {
        assert_eq!(limits("session=60/min,account=600/min,client=off"), TokenLimits::DEFAULT);
        assert_eq!(limits("client=off"), TokenLimits::DEFAULT);
        assert_eq!(limits("off"), TokenLimits::OFF);
        let some = limits("client=5/s, session=off");
        assert_eq!(some.session, None);
        assert_eq!(some.account, TokenLimits::DEFAULT.account);
        assert_eq!(some.client, Some(Rate { count: 5, per: Duration::from_secs(1) }));
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in [
            "",
            " ",
            "on",
            "OFF",
            "off,off",
            "60",
            "60/min",
            "session",
            "session=",
            "session=60",
            "session=60/",
            "session=/min",
            "session=0/min",
            "session=-1/min",
            "session=1.5/min",
            "session=60/minute",
            "session=60/week",
            "session=60 /min",
            "session=4294967296/min",
            "session=60/min,",
            ",session=60/min",
            "session=60/min;account=600/min",
            "session=60/min account=600/min",
            "session=60/min,session=60/min",
            "session=60/min,account=1/min,session=off",
            "Session=60/min",
            "address=60/min",
            "global=off",
            "session=Off",
            "session=unlimited",
            "session=60/min/s",
            "session==60/min",
        ] {
            assert_eq!(text.parse::<TokenLimits>(), Err(InvalidTokenLimits), "{text:?}");
        }
    }

    #[test]
    fn a_request_counts_for_all_or_for_none_and_the_longest_wait_is_said() {
        let limits = limits("session=2/min,account=3/min");
        let mut tries = TokenTries::default();
        let mut take = |subjects, seconds| {
            tries.take(&limits, TokenUse::Issue, &subjects, NOW + Duration::from_secs(seconds))
        };
        assert_eq!(take(of(1, 1), 0), Ok(()));
        assert_eq!(take(of(1, 1), 0), Ok(()));
        assert_eq!(take(of(1, 1), 0), Err(Wait(Duration::from_secs(30))), "its session");
        assert_eq!(take(of(2, 1), 0), Ok(()), "what was refused did not count for the account");
        assert_eq!(take(of(2, 1), 0), Err(Wait(Duration::from_secs(20))), "its account");
        assert_eq!(take(of(1, 1), 0), Err(Wait(Duration::from_secs(30))), "both");
        assert_eq!(take(of(3, 2), 0), Ok(()), "somebody else");
        assert_eq!(take(of(1, 1), 29), Err(Wait(Duration::from_secs(1))));
        assert_eq!(take(of(1, 1), 30), Ok(()));
    }

    #[test]
    fn refreshing_without_end_keeps_nobody_from_revoking() {
        let limits = limits("session=1/hour");
        let mut tries = TokenTries::default();
        assert_eq!(tries.take(&limits, TokenUse::Issue, &of(1, 1), NOW), Ok(()));
        assert!(tries.take(&limits, TokenUse::Issue, &of(1, 1), NOW).is_err());
        assert_eq!(tries.take(&limits, TokenUse::Revoke, &of(1, 1), NOW), Ok(()));
        assert!(tries.take(&limits, TokenUse::Revoke, &of(1, 1), NOW).is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_a_limit_that_is_reached_stays_reached() {
        let limits = limits("session=2/hour,account=off");
        let mut tries = TokenTries::default();
        let mut take = |number| tries.take(&limits, TokenUse::Issue, &of(number, 1), NOW);
        take(0).unwrap();
        take(0).unwrap();
        for number in 1..200_000 {
            take(number).unwrap();
        }
        assert!(take(0).is_err());
        assert!(tries.sessions.0.len() <= MOST);
        // Later all are forgotten, one by one or together.
        let later = NOW + Duration::from_hours(2);
        for number in 0..40_000 {
            assert_eq!(tries.take(&limits, TokenUse::Issue, &of(number, 1), later), Ok(()));
        }
        assert!(tries.sessions.0.len() <= MOST);
    }

    #[test]
    fn rates_of_far_more_than_one_a_millisecond_are_counted_exactly() {
        let limits = limits("session=1000000/s,account=off");
        let mut tries = TokenTries::default();
        let counted =
            (0..1_500_000).filter(|_| tries.take(&limits, TokenUse::Issue, &of(1, 1), NOW).is_ok()).count();
        assert_eq!(counted, 1_000_000);
    }
}
