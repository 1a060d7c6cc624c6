//! Runs a history on the service and compares each answer with the reference model.

use std::{
    collections::{BTreeSet, HashMap},
    num::NonZeroU32,
    thread,
    time::Duration,
};

use auth_service::{domain::account::AccountId, ops::admin::accounts::ImportedAccount};
use aws_lc_rs::pbkdf2;
use countermark::clock::Timestamp;
use serde_json::{Value, json};
use tests::{
    Answer, jws,
    wire::{Request, Wire},
    world::BEGINNING,
};

use super::{
    answer::{Handed, reply},
    driver::Driver,
    operation::{Edge, Loss, Operation, Pick, Shot, ShotAct, Step},
    reference::{Account, Divergence, Model, Row, same},
    rules::{AHEAD, Access, Act, Device, GRACE, IDLE, Millis, Reply, SECOND, SET_BACK},
};

const BEGIN: Millis = BEGINNING * SECOND;

/// Number of accounts at the start of a history.
const ACCOUNTS: usize = 2;

/// Too short for a registered account: see [`quick_hash`].
const PASSWORD: &str = "model";

/// The state of a running history.
pub(super) struct History<'a> {
    pub(super) driver: &'a mut Driver,
    model: Model,
    accounts: Vec<(String, AccountId)>,
    sessions: Vec<Held>,
    access: Vec<String>,
    /// Every refresh token of any answer, with its session and generation.
    refresh: HashMap<String, (usize, u32)>,
    passwords: usize,
    /// Sessions whose end the service learns from its log only, within 50 ms.
    lagging: BTreeSet<usize>,
}

/// The tokens of a session's clients.
struct Held {
    id: String,
    tokens: Vec<(u32, String)>,
}

impl<'a> History<'a> {
    pub(super) fn begin(driver: &'a mut Driver) -> Self {
        driver.world.clock.set(Timestamp::from_unix_millis(BEGIN));
        let emails: Vec<_> =
            (0..ACCOUNTS).map(|n| format!("m{n}.{}@example.com", driver.histories)).collect();
        let imported = emails.iter().map(|email| ImportedAccount {
            email: email.parse().unwrap(),
            password_hash: quick_hash().parse().unwrap(),
            roles: Vec::new(),
        });
        driver.runtime.block_on(driver.operator.import_accounts(imported.collect())).unwrap();
        let account = |email: String| {
            let id = driver.operator.account_named(&email).unwrap().unwrap().id;
            (email, id)
        };
        let accounts = emails.into_iter().map(account).collect();
        let model = Model {
            now: BEGIN,
            accounts: vec![
                Account { password: PASSWORD.to_owned(), is_enabled: true, ended_at: None };
                ACCOUNTS
            ],
            ..Model::default()
        };
        Self {
            driver,
            model,
            accounts,
            sessions: Vec::new(),
            access: Vec::new(),
            refresh: HashMap::new(),
            passwords: 0,
            lagging: BTreeSet::new(),
        }
    }

    /// Runs one operation. Returns `false` when it has nothing to act on yet.
    pub(super) fn perform(&mut self, operation: &Operation) -> Result<bool, Divergence> {
        let (sessions, tokens) = (self.model.liveliest_sessions(), self.model.liveliest_tokens());
        let session = |pick: Pick| sessions.get(pick % sessions.len().max(1)).copied();
        let token = |pick: Pick| tokens.get(pick % tokens.len().max(1)).copied();
        match operation {
            Operation::Login { account, is_right, device } => {
                self.log_in(account % ACCOUNTS, *is_right, *device)?;
            }
            Operation::Refresh { session: pick, shot, in_body } => {
                let Some(session) = session(*pick) else { return Ok(false) };
                let request = self.request(session, *shot, *in_body);
                let answer = self.ask(&request);
                self.shot(session, &[(*shot, answer)], true)?;
            }
            Operation::Race { session: pick, shots } => {
                let Some(session) = session(*pick) else { return Ok(false) };
                self.race(session, shots)?;
            }
            Operation::Lose { session: pick, shot, how } => {
                let Some(session) = session(*pick) else { return Ok(false) };
                self.lose(session, *shot, *how)?;
            }
            Operation::Show { token: pick } => {
                let Some(token) = token(*pick) else { return Ok(false) };
                self.show(token)?;
            }
            Operation::Introspect => self.introspect()?,
            Operation::List { token: pick } => {
                let Some(token) = token(*pick) else { return Ok(false) };
                self.list(token)?;
            }
            Operation::LogOut { token: pick } => {
                let Some(token) = token(*pick) else { return Ok(false) };
                let answer = self.ask(&Request::new("POST", "/logout").bearer(&self.access[token]));
                self.model.log_out(token, reply(&answer)?)?;
            }
            Operation::LogOutAll { token: pick } => {
                let Some(token) = token(*pick) else { return Ok(false) };
                let answer = self.ask(&Request::new("POST", "/logout-all").bearer(&self.access[token]));
                let reply = reply(&answer)?;
                if self.model.enter(token, reply)? {
                    same(reply, Reply::Done)?;
                    self.model.end_all(self.account_of(token), None);
                }
            }
            Operation::EndSession { token: pick, session: ended } => {
                let (Some(token), Some(ended)) = (token(*pick), session(*ended)) else { return Ok(false) };
                let path = format!("/sessions/{}", self.sessions[ended].id);
                let answer = self.ask(&Request::new("DELETE", &path).bearer(&self.access[token]));
                let reply = reply(&answer)?;
                if self.model.enter(token, reply)? {
                    self.model.end_own(self.account_of(token), ended, reply)?;
                }
            }
            Operation::ChangePassword { token: pick, is_right } => {
                let Some(token) = token(*pick) else { return Ok(false) };
                self.change_password(token, *is_right)?;
            }
            Operation::Clock(Step::By(span)) => self.set_clock(self.model.now + span),
            Operation::Clock(Step::To { session: pick, edge, off }) => {
                let Some(session) = session(*pick) else { return Ok(false) };
                self.set_clock(self.instant(session, *edge) + off);
            }
            Operation::Restart => {
                self.driver.restart();
                // The service has read the whole log.
                self.lagging.clear();
            }
            Operation::Crash { session: pick, shots } => {
                let Some(session) = session(*pick) else { return Ok(false) };
                self.crash(session, shots)?;
            }
            Operation::Sweep => self.sweep(),
            Operation::Revoke { session: pick } => {
                let Some(session) = session(*pick) else { return Ok(false) };
                let id = self.sessions[session].id.parse().unwrap();
                self.driver.runtime.block_on(self.driver.operator.revoke_session(id)).unwrap();
                self.model.end(session);
                self.lagging.insert(session);
            }
            Operation::Disable { account } => {
                let account = account % ACCOUNTS;
                let id = self.accounts[account].1;
                self.driver.runtime.block_on(self.driver.operator.disable_account(id)).unwrap();
                self.model.accounts[account].is_enabled = false;
                self.model.end_all(account, None);
                self.lagging.extend(0..self.sessions.len());
            }
            Operation::Enable => {
                let is_disabled = |&account: &usize| !self.model.accounts[account].is_enabled;
                let disabled: Vec<_> = (0..ACCOUNTS).filter(is_disabled).collect();
                if disabled.is_empty() {
                    return Ok(false);
                }
                for account in disabled {
                    let id = self.accounts[account].1;
                    self.driver.runtime.block_on(self.driver.operator.enable_account(id)).unwrap();
                    self.model.accounts[account].is_enabled = true;
                }
            }
        }
        Ok(true)
    }

    fn ask(&mut self, request: &Request) -> Answer {
        self.driver.wires[0].ask(request)
    }

    fn account_of(&self, token: usize) -> usize {
        self.model.session(self.model.access[token].session).account
    }

    fn log_in(&mut self, account: usize, is_right: bool, device: Device) -> Result<(), Divergence> {
        let password = if is_right { self.model.accounts[account].password.as_str() } else { "wrong" };
        let body = json!({"email": self.accounts[account].0, "password": password});
        let answer = self.ask(&from(Request::new("POST", "/login"), device).json(&body));
        let expected = self.model.login(account, is_right, device);
        let Some(handed) = Handed::of(&answer)? else { return same(reply(&answer)?, expected) };
        same(handed.reply(0), expected)?;
        let id = jws::payload(&handed.access)["sid"].as_str().unwrap_or_default().to_owned();
        if id.is_empty() || self.sessions.iter().any(|session| session.id == id) {
            return Err(format!("a login began session {id:?}"));
        }
        self.sessions.push(Held { id, tokens: Vec::new() });
        self.hold(self.sessions.len() - 1, 0, handed, true)
    }

    /// Checks a token answer against the model and keeps its tokens.
    fn hold(
        &mut self,
        session: usize,
        generation: u32,
        handed: Handed,
        is_read: bool,
    ) -> Result<(), Divergence> {
        let Handed { access, refresh, .. } = handed;
        let known = *self.refresh.entry(refresh.clone()).or_insert((session, generation));
        if known != (session, generation) {
            return Err(format!(
                "the refresh token of {:?} again, as that of {:?}",
                known,
                (session, generation)
            ));
        }
        let others = self.refresh.values().filter(|&&of| of == (session, generation));
        if others.count() > 1 {
            return Err(format!("two refresh tokens of session {session}, generation {generation}"));
        }
        let claims = jws::payload(&access);
        let is_fresh = generation == 0;
        let now = self.model.now;
        let expected: Vec<_> = self.model.sessions[session]
            .iter()
            .map(|state| Access::minted(session, state.over_at(), is_fresh, now))
            .collect();
        let number = |name: &str| claims[name].as_i64().unwrap_or(-1);
        let minted = Access {
            session,
            minted_at: number("iat"),
            expires_at: number("exp"),
            is_fresh: claims["fresh"] == true,
        };
        let is_of = claims["sid"] == self.sessions[session].id.as_str()
            && claims["email"] == self.accounts[self.model.session(session).account].0.as_str();
        if !(is_of && self.model.may_be_minted(minted, &expected)) {
            return Err(format!("{claims} was minted for session {session}, not one of {expected:?}"));
        }
        self.access.push(access);
        self.model.access.push(minted);
        let tokens = &mut self.sessions[session].tokens;
        if is_read && tokens.iter().all(|(held, _)| *held != generation) {
            tokens.push((generation, refresh));
            tokens.sort_unstable();
        }
        Ok(())
    }

    /// Index of the refresh token that the client sends.
    fn shown(&self, session: usize, shot: Shot) -> usize {
        let tokens = self.sessions[session].tokens.len();
        from_newest(shot.back, tokens).expect("the one of the login")
    }

    fn request(&self, session: usize, shot: Shot, in_body: bool) -> Request {
        let path = if shot.act == ShotAct::Refresh { "/refresh" } else { "/logout" };
        let token = &self.sessions[session].tokens[self.shown(session, shot)].1;
        let request = from(Request::new("POST", path), shot.device);
        if in_body { request.json(&json!({"refresh_token": token})) } else { request.bearer(token) }
    }

    fn act(&self, session: usize, shot: Shot) -> Act {
        let generation = self.sessions[session].tokens[self.shown(session, shot)].0;
        match shot.act {
            ShotAct::Refresh => Act::Refresh { generation, device: shot.device },
            ShotAct::LogOut => Act::Logout,
        }
    }

    /// Compares answered requests with the model. `is_read` says whether the client has read the answers.
    fn shot(&mut self, session: usize, answered: &[(Shot, Answer)], is_read: bool) -> Result<(), Divergence> {
        let mut acts = Vec::new();
        let mut all_handed = Vec::new();
        for (shot, answer) in answered {
            let handed = Handed::of(answer)?;
            let seen = match &handed {
                // A token that was seen before determines its generation. A new token must be the next generation.
                Some(handed) => {
                    let next = self.next_generation(session, *shot);
                    let generation = self.refresh.get(&handed.refresh).map_or(next, |known| known.1);
                    handed.reply(generation)
                }
                None => reply(answer)?,
            };
            acts.push((self.act(session, *shot), Some(seen)));
            all_handed.extend(handed.map(|handed| (handed, seen)));
        }
        if let Some(rule) = self.model.witness(session, &acts)? {
            *self.driver.rules.entry(rule).or_default() += 1;
        }
        for (handed, seen) in all_handed {
            let Reply::Handed { generation, .. } = seen else { continue };
            self.hold(session, generation, handed, is_read)?;
        }
        Ok(())
    }

    /// The generation after the one that is sent.
    fn next_generation(&self, session: usize, shot: Shot) -> u32 {
        self.sessions[session].tokens[self.shown(session, shot)].0 + 1
    }

    fn race(&mut self, session: usize, shots: &[Shot]) -> Result<(), Divergence> {
        let requests: Vec<_> = shots.iter().map(|&shot| self.request(session, shot, false)).collect();
        let wires = &mut self.driver.wires;
        requests.iter().zip(&mut *wires).for_each(|(request, wire)| wire.send(request));
        let answers = shots.iter().copied().zip(wires.iter_mut().map(Wire::answer));
        let answered: Vec<_> = answers.collect();
        self.shot(session, &answered, true)
    }

    fn lose(&mut self, session: usize, shot: Shot, how: Loss) -> Result<(), Divergence> {
        let request = self.request(session, shot, false);
        match how {
            Loss::Unread => {
                let answer = self.ask(&request);
                self.shot(session, &[(shot, answer)], false)
            }
            Loss::HungUp { looks } => {
                let mut wire = Wire::to(self.driver.address());
                wire.send(&request);
                (0..looks).for_each(|_| thread::yield_now());
                wire.hang_up();
                self.lagging.insert(session);
                let act = self.act(session, shot);
                self.model.witness(session, &[(act, None)])?;
                // The request is cancelled, but its database write may still be queued. A failed login is audited, so
                // its write is queued behind that one.
                self.log_in(0, false, shot.device)
            }
        }
    }

    fn crash(&mut self, session: usize, shots: &[Shot]) -> Result<(), Divergence> {
        let acts: Vec<_> = shots.iter().map(|&shot| (self.act(session, shot), None)).collect();
        for (number, &shot) in shots.iter().enumerate() {
            let request = self.request(session, shot, false);
            self.driver.wires[number].send(&request);
        }
        self.driver.crash();
        // The crashed service's queued writes are done by now, or soon will be.
        self.lagging.insert(session);
        self.model.witness(session, &acts).map(drop)
    }

    fn show(&mut self, token: usize) -> Result<(), Divergence> {
        let answer = self.ask(&Request::new("GET", "/me").bearer(&self.access[token]));
        let reply = reply(&answer)?;
        if self.model.enter(token, reply)? {
            same(reply, Reply::Done)?;
            let email = &self.accounts[self.account_of(token)].0;
            if answer.json()["email"] != email.as_str() {
                return Err(format!("{answer:?} is not of {email}"));
            }
        }
        Ok(())
    }

    /// Introspects all access tokens in one batch.
    fn introspect(&mut self) -> Result<(), Divergence> {
        let (runtime, grpc) = (&self.driver.runtime, &self.driver.grpc);
        let tokens = self.access.clone();
        let ask = async || -> Result<Model, Divergence> {
            let answers = grpc.batch(tokens.clone()).await.expect("answers");
            let mut model = self.model.clone();
            for (token, answer) in answers.iter().enumerate() {
                let is_late = self.lagging.contains(&model.access[token].session);
                model.introspected(token, answer.active, is_late)?;
            }
            Ok(model)
        };
        self.model = if self.lagging.is_empty() {
            runtime.block_on(ask())?
        } else {
            let agrees = async || ask().await.ok();
            runtime.block_on(tests::until("introspection knows what was written", agrees))
        };
        // A session whose tokens have all expired gives no information.
        let model = &self.model;
        self.lagging.retain(|&session| {
            let mut tokens = (0..model.access.len()).filter(|&token| model.access[token].session == session);
            !tokens.any(|token| model.is_surely_revoked(token))
        });
        Ok(())
    }

    fn list(&mut self, token: usize) -> Result<(), Divergence> {
        let answer = self.ask(&Request::new("GET", "/sessions").bearer(&self.access[token]));
        let reply = reply(&answer)?;
        if !self.model.enter(token, reply)? {
            return Ok(());
        }
        same(reply, Reply::Done)?;
        let answer = answer.json();
        let rows = answer["sessions"].as_array().ok_or("no list")?;
        let rows = rows.iter().map(|row| self.row(row)).collect::<Result<Vec<_>, _>>()?;
        self.model.listed(self.model.access[token].session, &rows)
    }

    fn row(&self, row: &Value) -> Result<Row, Divergence> {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        let session = self.sessions.iter().position(|session| session.id == text("id"));
        Ok(Row {
            session: session.ok_or_else(|| format!("a session that nobody began: {row}"))?,
            agent: text("device").to_owned(),
            address: text("address").to_owned(),
            created_at: text("created_at").to_owned(),
            last_used_at: text("last_used_at").to_owned(),
            is_current: row["current"] == true,
        })
    }

    fn change_password(&mut self, token: usize, is_right: bool) -> Result<(), Divergence> {
        self.passwords += 1;
        let new = format!("password number {}", self.passwords);
        let account = self.account_of(token);
        let current = if is_right { self.model.accounts[account].password.as_str() } else { "wrong" };
        let body = json!({"current_password": current, "new_password": new});
        let answer = self.ask(&Request::new("POST", "/password").bearer(&self.access[token]).json(&body));
        let reply = reply(&answer)?;
        if self.model.enter(token, reply)? {
            self.model.change_password(token, is_right, new, reply)?;
        }
        Ok(())
    }

    fn instant(&self, session: usize, edge: Edge) -> Millis {
        let state = self.model.session(session);
        let token = self.model.access.iter().rfind(|access| access.session == session).unwrap();
        match edge {
            Edge::EndOfWindow => state.rotated_at + GRACE,
            Edge::SetBack => state.rotated_at + SET_BACK,
            Edge::Idle => state.rotated_at + IDLE,
            Edge::Over => state.over_at(),
            Edge::TokenExpiry => token.expires_at * SECOND,
            Edge::TokenAhead => token.minted_at * SECOND - AHEAD,
        }
    }

    fn set_clock(&mut self, to: Millis) {
        let now = self.model.now;
        if to < now {
            // Sessions that are over now may be swept now. The service sweeps here, so that the model knows when. What
            // was over at a time that the clock has shown then stays over after the clock is set back.
            self.sweep();
            self.driver.world.clock.set(Timestamp::from_unix_millis(to));
        } else {
            self.driver.world.pass(Duration::from_millis((to - now).unsigned_abs()));
        }
        self.model.clock_shows(to);
    }

    fn sweep(&mut self) {
        self.driver.sweep();
        self.model.swept();
    }

    pub(super) fn look_at_everything(&mut self) -> Result<(), Divergence> {
        for token in 0..self.access.len() {
            self.show(token)?;
        }
        self.introspect()?;
        for session in 0..self.sessions.len() {
            if let Some(token) = self.model.access.iter().rposition(|access| access.session == session) {
                self.list(token)?;
            }
        }
        Ok(())
    }
}

fn from(request: Request, device: Device) -> Request {
    let request = request.header("x-forwarded-for", device.address);
    if device.agent.is_empty() { request } else { request.header("user-agent", device.agent) }
}

fn from_newest(pick: Pick, count: usize) -> Option<usize> {
    count.checked_sub(1).map(|newest| newest - pick % count)
}

/// An imported hash of [`PASSWORD`] that is fast to check. The password is too short to be hashed again at the login,
/// so this hash stays. Otherwise a login would take fifteen times as long as any other operation.
fn quick_hash() -> String {
    let mut output = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, NonZeroU32::MIN, b"salt", PASSWORD.as_bytes(), &mut output);
    let hex = output.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    format!("pbkdf2:sha256:1$salt${hex}")
}
