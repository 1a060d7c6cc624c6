//! The reference model: accounts, their sessions and their tokens, by the rules in `rules`. It is pure.
//!
//! A client that loses an answer does not know whether the operation was done. The order of concurrent requests is
//! unknown too. The model therefore keeps every state that a session may have. Each answer removes the states that it
//! contradicts. When none is left, the service has diverged.

use countermark::clock::Timestamp;

use super::rules::{Access, Act, Device, FRESH_TTL, Millis, Reply, Rule, SECOND, SLIGHTLY_AHEAD, Session};

#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) password: String,
    pub(super) is_enabled: bool,
    /// The latest instant at which all its sessions were ended at once, in seconds. Tokens up to it are revoked, so tokens
    /// that are minted after the clock was set back come after it.
    pub(super) ended_at: Option<i64>,
}

/// A row of `GET /sessions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) session: usize,
    pub(super) agent: String,
    pub(super) address: String,
    pub(super) created_at: String,
    pub(super) last_used_at: String,
    pub(super) is_current: bool,
}

/// Description of an answer that the model cannot explain.
pub(super) type Divergence = String;

/// The state of the model.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) now: Millis,
    pub(super) accounts: Vec<Account>,
    /// For each session, every state that it may have.
    pub(super) sessions: Vec<Vec<Session>>,
    pub(super) access: Vec<Access>,
}

impl Model {
    /// One of the states that the session may have.
    pub(super) fn session(&self, session: usize) -> &Session {
        &self.sessions[session][0]
    }

    /// All sessions: live ones first, newer before older.
    pub(super) fn liveliest_sessions(&self) -> Vec<usize> {
        let mut sessions: Vec<_> = (0..self.sessions.len()).rev().collect();
        sessions.sort_by_key(|&session| !self.session(session).is_live(self.now));
        sessions
    }

    /// All access tokens: live ones first, newer before older.
    pub(super) fn liveliest_tokens(&self) -> Vec<usize> {
        let standing = |token: usize| {
            let access = &self.access[token];
            access.standing(self.session(access.session), self.now)
        };
        let mut tokens: Vec<_> = (0..self.access.len()).rev().collect();
        tokens.sort_by_key(|&token| standing(token) != Reply::Done);
        tokens
    }

    pub(super) fn clock_shows(&mut self, now: Millis) {
        self.now = now;
        self.sessions.iter_mut().flatten().for_each(|state| state.clock_shows(now));
    }

    pub(super) fn swept(&mut self) {
        let now = self.now;
        self.sessions.iter_mut().flatten().for_each(|state| state.sweep(now));
    }

    /// The expected answer to a login with a right or wrong password.
    pub(super) fn login(&mut self, account: usize, is_right: bool, device: Device) -> Reply {
        if !(is_right && self.accounts[account].is_enabled) {
            return Reply::BadCredentials;
        }
        let session = Session::begun(account, device, self.now);
        let reply = session.handed(FRESH_TTL, self.now);
        self.sessions.push(vec![session]);
        reply
    }

    /// Whether the token may have been answered now, if its session is in one of the `expected` states.
    pub(super) fn may_be_minted(&self, minted: Access, expected: &[Access]) -> bool {
        let account = &self.accounts[self.session(minted.session).account];
        // The entry that ended all sessions matches all that was minted, also by a clock that was a little ahead.
        let latest = account.ended_at.map(|at| at + SLIGHTLY_AHEAD + 1);
        let may_come_after = |expected: &Access| {
            latest.is_some_and(|latest| (expected.minted_at..=latest).contains(&minted.minted_at))
                && Access { minted_at: expected.minted_at, ..minted } == *expected
        };
        expected.contains(&minted) || expected.iter().any(may_come_after)
    }

    /// Checks concurrent acts on one session, each with its answer if the client saw one. An act without an answer may
    /// not have been done. Some order must explain all answers. Returns the rule when it is unambiguous.
    pub(super) fn witness(
        &mut self,
        session: usize,
        acts: &[(Act, Option<Reply>)],
    ) -> Result<Option<Rule>, Divergence> {
        let before = &self.sessions[session];
        let rule = match (before.as_slice(), acts) {
            ([state], [(act, Some(_))]) => Some(state.clone().act(*act, self.now).1),
            _ => None,
        };
        let mut after = Vec::new();
        for state in before {
            every_order(state, acts, self.now, &mut after);
        }
        if after.is_empty() {
            return Err(format!("session {session} at {}: {acts:?}, but it was {before:?}", self.now));
        }
        self.sessions[session] = after;
        Ok(rule)
    }

    /// Removes the states that contradict an interface's answer to the token. Returns whether the token was accepted.
    pub(super) fn enter(&mut self, token: usize, reply: Reply) -> Result<bool, Divergence> {
        let (access, now) = (self.access[token], self.now);
        let seen = match reply {
            Reply::NotYetValid | Reply::Expired | Reply::Revoked => reply,
            _ => Reply::Done,
        };
        let what = || format!("{access:?} was taken as {seen:?}");
        self.settle(access.session, what, |state| access.standing(state, now) == seen)?;
        Ok(seen == Reply::Done)
    }

    /// Removes the states that contradict introspection, which only reports whether the token is active. While
    /// `is_late` the service may not know yet that the session was ended. An active answer then proves nothing, but it
    /// must not last.
    pub(super) fn introspected(
        &mut self,
        token: usize,
        is_active: bool,
        is_late: bool,
    ) -> Result<(), Divergence> {
        let (access, now) = (self.access[token], self.now);
        let what = || format!("{access:?} was introspected as active: {is_active}");
        let may_live = self.sessions[access.session].iter().any(|state| !state.is_ended());
        self.settle(access.session, what, |state| match access.standing(state, now) {
            Reply::Done => is_active,
            Reply::Revoked if is_late && may_live => true,
            // After the clock is set back, a token may be accepted again whose session end the log has forgotten.
            Reply::Revoked if state.may_be_forgotten() => true,
            _ => !is_active,
        })
    }

    /// Whether the end of its session is the only reason that the token is dead.
    pub(super) fn is_surely_revoked(&self, token: usize) -> bool {
        let access = &self.access[token];
        let is_revoked =
            |state: &Session| access.standing(state, self.now) == Reply::Revoked && !state.may_be_forgotten();
        self.sessions[access.session].iter().all(is_revoked)
    }

    /// A logout with an access token.
    pub(super) fn log_out(&mut self, token: usize, reply: Reply) -> Result<(), Divergence> {
        let access = self.access[token];
        if access.is_ahead(self.now) {
            return same(reply, Reply::NotYetValid);
        }
        self.witness(access.session, &[(Act::Logout, Some(reply))]).map(drop)
    }

    /// Ends a session in each of its states.
    pub(super) fn end(&mut self, session: usize) {
        end(&mut self.sessions[session], self.now);
    }

    /// Ends every session of the account except `spared`.
    pub(super) fn end_all(&mut self, account: usize, spared: Option<usize>) {
        let now = self.now;
        if spared.is_none() {
            let account = &mut self.accounts[account];
            account.ended_at = account.ended_at.max(Some(now.div_euclid(SECOND)));
        }
        for (session, states) in self.sessions.iter_mut().enumerate() {
            if Some(session) != spared && states[0].account == account {
                end(states, now);
            }
        }
    }

    /// `DELETE /sessions/{id}` by an accepted caller.
    pub(super) fn end_own(&mut self, account: usize, session: usize, reply: Reply) -> Result<(), Divergence> {
        let now = self.now;
        let is_own = self.session(session).account == account;
        let what = || format!("session {session} was ended with {reply:?}");
        match reply {
            Reply::Done => self.settle(session, what, |state| is_own && state.is_live(now))?,
            Reply::NotFound => return self.settle(session, what, |state| !is_own || !state.is_live(now)),
            _ => return Err(what()),
        }
        self.end(session);
        Ok(())
    }

    /// `POST /password` by an accepted caller.
    pub(super) fn change_password(
        &mut self,
        token: usize,
        is_right: bool,
        new: String,
        reply: Reply,
    ) -> Result<(), Divergence> {
        let access = self.access[token];
        let expected = match (access.is_fresh, is_right) {
            (false, _) => Reply::NotFresh,
            (true, false) => Reply::BadCredentials,
            (true, true) => Reply::Done,
        };
        same(reply, expected)?;
        if expected == Reply::Done {
            let account = self.session(access.session).account;
            self.accounts[account].password = new;
            self.end_all(account, Some(access.session));
        }
        Ok(())
    }

    /// `GET /sessions` by an accepted caller.
    pub(super) fn listed(&mut self, current: usize, rows: &[Row]) -> Result<(), Divergence> {
        let (account, now) = (self.session(current).account, self.now);
        let age = |row: &Row| self.session(row.session).created_at;
        if !rows.is_sorted_by_key(age) {
            return Err(format!("not in their order: {rows:?}"));
        }
        for session in 0..self.sessions.len() {
            let mut listed = rows.iter().filter(|row| row.session == session);
            let row = listed.next();
            let what = || format!("session {session} was listed as {row:?}");
            if listed.next().is_some() {
                return Err(format!("session {session} is listed twice"));
            }
            self.settle(session, what, |state| {
                let expected = (state.account == account && state.is_live(now)).then(|| Row {
                    session,
                    agent: state.device.agent.to_owned(),
                    address: state.device.address.to_owned(),
                    created_at: text(state.created_at),
                    last_used_at: text(state.rotated_at),
                    is_current: session == current,
                });
                row == expected.as_ref()
            })?;
        }
        Ok(())
    }

    fn settle(
        &mut self,
        session: usize,
        what: impl FnOnce() -> String,
        fits: impl Fn(&Session) -> bool,
    ) -> Result<(), Divergence> {
        let before = self.sessions[session].clone();
        self.sessions[session].retain(fits);
        if self.sessions[session].is_empty() {
            return Err(format!("{} at {}, but it was {before:?}", what(), self.now));
        }
        Ok(())
    }
}

pub(super) fn same(reply: Reply, expected: Reply) -> Result<(), Divergence> {
    if reply == expected { Ok(()) } else { Err(format!("answered {reply:?}, not {expected:?}")) }
}

fn end(states: &mut [Session], now: Millis) {
    for state in states {
        state.end(now);
    }
}

fn text(at: Millis) -> String {
    Timestamp::from_unix_millis(at).to_string()
}

/// Adds each state that some order of the acts leads to and that explains the answers.
fn every_order(state: &Session, acts: &[(Act, Option<Reply>)], now: Millis, into: &mut Vec<Session>) {
    if acts.is_empty() && !into.contains(state) {
        into.push(state.clone());
    }
    for (first, (act, seen)) in acts.iter().enumerate() {
        let rest = [&acts[..first], &acts[first + 1..]].concat();
        let mut after = state.clone();
        let (reply, _) = after.act(*act, now);
        if seen.is_none_or(|seen| seen == reply) {
            every_order(&after, &rest, now, into);
        }
        if seen.is_none() {
            every_order(state, &rest, now, into);
        }
    }
}
