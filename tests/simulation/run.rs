//! One run: issuers and verifiers, the events, and the properties that must hold at every moment.

use std::{
    ops::AddAssign,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use countermark::{
    clock::Clock as _,
    verify::{AuthError, Position, Seq, StalePolicy, TokenError},
};
use serde_json::Value;
use tests::jws;
use turmoil::Sim;

use crate::{
    draw::Draw,
    gate::Gate,
    issuer::{Done, Issuer, Mint, Order, Owner, TTL, What},
    queue::Queue,
    replay::Replay,
    time::SimulatedClock,
    trace::{Event, Trace},
    verifier::{AtOnce, Said, Verifier},
};

/// Length of a step.
const TICK: Duration = Duration::from_millis(5);

/// Duration of the trouble.
const TROUBLE: Duration = Duration::from_secs(90);

/// Time after the last trouble within which everybody must be current: the longest pause between two attempts, the time
/// to notice a silence, and a margin.
const CALM: Duration = Duration::from_secs(20);

/// A verifier that has received key announcements for this long knows every signing key.
const IN_TOUCH: Duration = Duration::from_secs(3);

/// For this long after a key's revocation, a key may sign that not all verifiers know.
const EMERGENCY: Duration = Duration::from_secs(15);

/// A token and its known history.
#[derive(Debug)]
struct Token {
    text: String,
    kid: String,
    owner: Owner,
    /// Expiry in seconds by the true clock.
    expires_at: i64,
    /// Whether it is of a part that was lost unnoticed, and ahead of the clock. Then no revocation of its owner's tokens up to an
    /// instant is certain to reach it, until the recovery.
    is_beyond: bool,
    /// Whether its revocation was ordered, or it may have been revoked from the start.
    is_spent: bool,
    revoked_at: Option<Duration>,
    confirmed_at: Option<Duration>,
}

/// A fault that lasts for a while.
#[derive(Clone, Debug)]
enum Trouble {
    Cut(String, String),
    Held(String, String),
    Down(Host),
    Stopped(Host),
    Clock(Host),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    Issuer(usize),
    Verifier(usize),
}

/// Counts of what was observed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) complete: usize,
    pub(crate) incomplete: usize,
    pub(crate) accepted: usize,
    pub(crate) refused: usize,
    pub(crate) later: usize,
    pub(crate) asked: usize,
    /// Number of rotations and emergencies that changed the signing key.
    pub(crate) rotated: usize,
    /// Number of processes that had a log position before any answer from an issuer.
    pub(crate) restored: usize,
    pub(crate) revocations: usize,
    pub(crate) tokens: usize,
    /// Number of times that the database went back, and was recovered.
    pub(crate) went_back: usize,
    /// Number of messages that were compared with the model.
    pub(crate) replayed: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.complete += other.complete;
        self.incomplete += other.incomplete;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.later += other.later;
        self.asked += other.asked;
        self.rotated += other.rotated;
        self.restored += other.restored;
        self.revocations += other.revocations;
        self.tokens += other.tokens;
        self.went_back += other.went_back;
        self.replayed += other.replayed;
    }
}

/// The last observed position of a verifier, and the number of its process.
type Seen = Option<(u64, Option<Position>)>;

/// A running simulation.
pub(crate) struct Run {
    seed: u64,
    draw: Draw,
    clock: SimulatedClock,
    sim: Sim<'static>,
    mint: Mint,
    issuers: Vec<Issuer>,
    verifiers: Vec<Verifier>,
    done: Arc<Mutex<Vec<Done>>>,
    said: Arc<Mutex<Vec<Said>>>,
    trace: Trace,
    replay: Replay,
    does_replay: bool,
    tokens: Vec<Token>,
    /// For each order, the tokens that it revokes. While it is not carried out, also the owner whose new tokens it may
    /// revoke.
    orders: Vec<(Vec<usize>, Option<Owner>)>,
    seen: Vec<Seen>,
    /// For each verifier, the time since which it receives key announcements.
    in_touch: Vec<Option<Duration>>,
    /// Keys whose revocation was ordered.
    doomed: Vec<String>,
    /// Until this time the effects of an emergency may show.
    emergency_until: Duration,
    troubles: Vec<(Duration, Trouble)>,
    /// One in so many steps mints a token, and may revoke some.
    pace: usize,
    /// The database goes back once, in most runs.
    step_back: StepBack,
    /// It goes back again and again.
    goes_back_again: bool,
    tally: Tally,
}

/// When an older copy takes the database's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StepBack {
    /// Never, or it is over.
    None,
    /// The copy is made then, and put back later.
    Copy(Duration, Duration),
    /// The copy of the first moment is put back at the second, or when something was written since.
    PutBack(Duration, Duration),
}

impl Run {
    pub(crate) fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let clock = SimulatedClock::default();
        let mint = Mint::new(&clock, draw.number());
        let slowest = *draw.one(&[2, 20, 20, 100, 400]);
        let mut sim = turmoil::Builder::new()
            .rng_seed(draw.number())
            .tick_duration(TICK)
            .simulation_duration(Duration::MAX)
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(slowest))
            .tcp_capacity(1024)
            .build();
        let (done, said, trace) = (Arc::default(), Arc::default(), Trace::default());
        // When revocations are rare, a lost delta is not noticed by a following delta.
        let (pace, loses) = *draw.one(&[(15, 0), (15, 0), (15, 30), (1_000, 2)]);
        let loses = Arc::new(AtomicUsize::new(loses));
        let issuers: Vec<_> = (0..=draw.below(2))
            .map(|number| {
                let (name, clock) = (format!("issuer-{number}"), clock.of_another());
                let (loses, done) = (Arc::clone(&loses), Arc::clone(&done));
                Issuer::new(name, clock, &mint, draw.number(), loses, done, trace.clone())
            })
            .collect();
        let names: Vec<_> = issuers.iter().map(|issuer| issuer.name.clone()).collect();
        let verifiers: Vec<_> = (0..2 + draw.below(3))
            .map(|number| Verifier {
                number,
                name: format!("verifier-{number}"),
                policy: *draw.one(&[
                    StalePolicy::Deny,
                    StalePolicy::Deny,
                    StalePolicy::Introspect,
                    StalePolicy::Allow,
                ]),
                stale_after: draw.millis(1_500..4_500),
                clock: clock.of_another(),
                gate: Gate::default(),
                issuers: names.clone(),
                bundle: Arc::default(),
                process: Arc::default(),
                shown: Queue::default(),
                said: Arc::clone(&said),
                seeds: Arc::new(draw.number().into()),
            })
            .collect();
        for issuer in issuers.clone() {
            sim.host(issuer.name.clone(), move || issuer.gate.hold(issuer.clone().run()));
        }
        for verifier in verifiers.clone() {
            sim.host(verifier.name.clone(), move || verifier.gate.hold(verifier.clone().run()));
        }
        let replay = Replay::new(verifiers.iter().map(Verifier::as_participant).collect(), mint.head());
        let (seen, in_touch) = (vec![None; verifiers.len()], vec![None; verifiers.len()]);
        let (tokens, troubles, tally) = (Vec::new(), Vec::new(), Tally::default());
        let copied_at = draw.millis(1_000..60_000);
        // A short lost part is soon passed by what is written after it.
        let longest = *draw.one(&[500, 20_000]);
        let back_at = copied_at + draw.millis(10..longest);
        let step_back = if draw.once_in(3) { StepBack::None } else { StepBack::Copy(copied_at, back_at) };
        Self {
            seed,
            draw,
            clock,
            sim,
            mint,
            issuers,
            verifiers,
            done,
            said,
            trace,
            replay,
            does_replay: false,
            tokens,
            orders: Vec::new(),
            seen,
            in_touch,
            doomed: Vec::new(),
            emergency_until: Duration::ZERO,
            troubles,
            pace,
            step_back,
            goes_back_again: false,
            tally,
        }
    }

    /// The database goes back soon, and again and again.
    pub(crate) fn going_back_again(mut self) -> Self {
        self.goes_back_again = true;
        self.step_back = self.next_step_back();
        self
    }

    fn next_step_back(&mut self) -> StepBack {
        if !self.goes_back_again {
            return StepBack::None;
        }
        let copied_at = self.now() + self.draw.millis(300..2_000);
        let longest = *self.draw.one(&[100, 500, 4_000]);
        StepBack::Copy(copied_at, copied_at + self.draw.millis(10..longest))
    }

    /// Replays what is said through the model.
    pub(crate) fn replayed(self) -> Self {
        Self { does_replay: true, ..self }
    }

    /// Runs the simulation to its end.
    pub(crate) fn play(mut self) -> Tally {
        while self.now() < TROUBLE {
            self.mend(false);
            if self.troubles.len() < 3 && self.draw.once_in(120) {
                self.trouble();
            }
            if self.draw.once_in(self.pace) {
                self.revoke();
            }
            if self.draw.once_in(1_500) {
                self.rotate();
            }
            self.step_back();
            self.step();
        }
        self.mend(true);
        self.issuers[0].loses.store(0, SeqCst);
        let calm = self.now() + CALM;
        while self.now() < calm {
            self.step();
        }
        self.all_are_current();
        self.tally.replayed = self.replay.compared;
        self.tally
    }

    fn now(&self) -> Duration {
        self.sim.elapsed()
    }

    /// Copies the database, or puts the copy back, when it is time.
    fn step_back(&mut self) {
        match self.step_back {
            StepBack::Copy(copied_at, back_at) if copied_at <= self.now() => {
                self.mint.copy();
                self.record(Event::Copied { number: self.mint.head() });
                self.step_back = StepBack::PutBack(self.now(), back_at);
            }
            StepBack::PutBack(copied_at, back_at)
                if back_at <= self.now() && self.mint.is_past_the_copy() =>
            {
                self.put_back(copied_at);
                self.step_back = self.next_step_back();
            }
            StepBack::None | StepBack::Copy(..) | StepBack::PutBack(..) => {}
        }
    }

    /// An older copy takes the database's place: while the issuers are down, under running issuers, or with its mark, so that
    /// only verifiers and refresh tokens are witnesses. Then it is recovered, and the issuers start.
    fn put_back(&mut self, copied_at: Duration) {
        self.mend(true);
        self.tally.went_back += 1;
        let is_marked = match self.draw.below(3) {
            0 => {
                self.crash_issuers();
                self.mint.put_back();
                self.record(Event::PutBack { is_running: false, with_mark: false });
                true
            }
            1 => {
                self.mint.put_back();
                self.record(Event::PutBack { is_running: true, with_mark: false });
                self.pass_with_lost_orders();
                self.crash_issuers();
                true
            }
            _ => {
                self.crash_issuers();
                self.mint.put_back_with_mark(self.draw.number());
                self.record(Event::PutBack { is_running: false, with_mark: true });
                self.serve_the_copy(copied_at);
                self.crash_issuers();
                false
            }
        };
        let number = self.mint.head();
        self.mint.recover(self.draw.number(), is_marked);
        self.record(Event::Recovered { number });
        let now = self.now();
        for token in &mut self.tokens {
            (token.is_spent, token.is_beyond) = (true, false);
            token.revoked_at.get_or_insert(now);
        }
        // Orders that were under way are lost. Verifiers learn the new key when an issuer is back.
        self.orders.iter_mut().for_each(|order| order.1 = None);
        self.emergency_until = now + EMERGENCY + CALM;
        let until = now + self.draw.millis(5..6_000);
        while self.now() < until {
            self.pass();
        }
        self.start_issuers();
    }

    fn pass_with_lost_orders(&mut self) {
        let until = self.now() + self.draw.millis(5..8_000);
        while self.now() < until {
            if self.draw.once_in(20) {
                self.order_anything();
            }
            self.pass();
        }
    }

    /// The issuers serve the copy, until there is evidence. What was revoked in the lost part is not known to them. What they
    /// revoke now holds as always.
    fn serve_the_copy(&mut self, copied_at: Duration) {
        let now = self.clock.now().unix_seconds();
        for token in &mut self.tokens {
            // One of that very instant may be in the copy, or not.
            if token.revoked_at.is_none_or(|at| at >= copied_at) {
                (token.revoked_at, token.confirmed_at) = (None, None);
                let minted_at = jws::payload(&token.text)["iat"].as_i64().unwrap();
                (token.is_spent, token.is_beyond) = (true, minted_at > now);
            }
        }
        self.orders.iter_mut().for_each(|order| *order = (Vec::new(), None));
        self.emergency_until = Duration::MAX;
        self.leave_few_witnesses();
        self.start_issuers();
        let until = self.now() + self.draw.millis(500..15_000);
        while self.now() < until && !self.mint.has_evidence() {
            self.mend(false);
            if self.draw.once_in(self.pace) {
                self.revoke();
            }
            self.step();
        }
    }

    /// Some verifiers are back late, or all. By then the log of the copy may have passed the positions that they know. When
    /// nobody is a witness until then, tags alone tell the two pasts apart.
    fn leave_few_witnesses(&mut self) {
        let none_is_left = self.draw.once_in(2);
        if none_is_left {
            self.mint.forget_sessions();
        }
        for verifier in 0..self.verifiers.len() {
            if !none_is_left && self.draw.once_in(2) {
                continue;
            }
            let until = self.now() + self.draw.millis(200..10_000);
            for issuer in 0..self.issuers.len() {
                let (a, b) = (self.verifiers[verifier].name.clone(), self.issuers[issuer].name.clone());
                self.sim.partition(a.as_str(), b.as_str());
                self.troubles.push((until, Trouble::Cut(a, b)));
            }
        }
    }

    fn start_issuers(&mut self) {
        for issuer in &self.issuers {
            self.sim.bounce(issuer.name.clone());
        }
    }

    fn crash_issuers(&mut self) {
        for issuer in &self.issuers {
            self.sim.crash(issuer.name.clone());
        }
    }

    /// Orders the end of a token while the database can't be written: nothing comes of it.
    fn order_anything(&mut self) {
        let Some(last) = self.tokens.len().checked_sub(1) else { return };
        let token = last - self.draw.below(self.tokens.len().min(20));
        let what = What::Token(self.tokens[token].text.clone());
        self.tokens[token].is_spent = true;
        self.order(what, vec![token], None);
    }

    fn step(&mut self) {
        self.pass();
        self.mint.publish_next();
    }

    /// Lets a moment pass, without the database.
    fn pass(&mut self) {
        self.sim.step().unwrap();
        self.clock.step_to(self.now());
        self.touch();
        self.collect();
        self.look();
        let events = self.trace.take();
        if self.does_replay {
            self.replay.replay(events);
        }
    }

    fn record(&self, event: Event) {
        self.trace.record(&self.clock, event);
    }

    /// Collects the outcomes of orders, and the answers of verifiers that had to ask the issuer.
    fn collect(&mut self) {
        for done in std::mem::take(&mut *self.done.lock().unwrap()) {
            match done {
                Done::Revoked { order, at } => {
                    self.tally.revocations += 1;
                    for &token in &self.orders[order].0 {
                        self.tokens[token].revoked_at.get_or_insert(at);
                    }
                    self.orders[order].1 = None;
                }
                Done::Confirmed { order, at, is_complete: true } => {
                    self.tally.complete += 1;
                    for &token in &self.orders[order].0 {
                        self.tokens[token].confirmed_at.get_or_insert(at);
                    }
                }
                Done::Confirmed { is_complete: false, .. } => self.tally.incomplete += 1,
            }
        }
        for said in std::mem::take(&mut *self.said.lock().unwrap()) {
            self.tally.asked += 1;
            let Said { verifier, token, shown_at, answer } = said;
            match answer {
                Ok(()) => {
                    let was_asked = self.verifiers[verifier].policy == StalePolicy::Introspect;
                    self.may_accept(verifier, token, shown_at, was_asked);
                }
                Err(AuthError::Token(TokenError::UnknownKey)) => self.may_not_know(verifier, token, shown_at),
                Err(AuthError::Token(_) | AuthError::Stale | AuthError::NoKeys) => {}
                Err(other) => panic!("a verifier never refuses a token with: {other}"),
            }
        }
    }

    /// Sends some tokens to a verifier: valid and revoked ones, recent and old ones.
    fn look(&mut self) {
        let at = self.draw.below(self.verifiers.len());
        let Some(process) = self.verifiers[at].process() else { return };
        let position = process.position();
        if let Some((number, before)) = &self.seen[at]
            && *number == process.number
        {
            let is_on = before.is_none_or(|before| {
                position.is_some_and(|now| {
                    let is_later = before.log_id == now.log_id && before.seq <= now.seq;
                    is_later || self.tally.went_back > 0
                })
            });
            assert!(is_on, "{}: {} fell from {before:?} to {position:?}", self.at(), self.verifiers[at].name);
        }
        if self.seen[at].as_ref().is_none_or(|(number, _)| *number != process.number)
            && position.is_some()
            && process.freshness.heard_ago(self.now()).is_none()
        {
            self.tally.restored += 1;
        }
        self.seen[at] = Some((process.number, position));
        for _ in 0..6 {
            let Some(last) = self.tokens.len().checked_sub(1) else { return };
            let back = if self.draw.once_in(3) { last + 1 } else { (last + 1).min(24) };
            let token = last - self.draw.below(back);
            match process.at_once(&self.tokens[token].text) {
                AtOnce::Accepted => {
                    self.tally.accepted += 1;
                    self.may_accept(at, token, self.now(), false);
                }
                AtOnce::Refused(error) => {
                    self.tally.refused += 1;
                    self.may_refuse(at, token, error);
                }
                AtOnce::Later => self.tally.later += 1,
                AtOnce::Asks => {
                    let text = self.tokens[token].text.clone();
                    self.verifiers[at].show(token, text);
                }
            }
        }
    }

    /// Checks an accepted token: it must not be revoked for longer than the bound, and not before a confirmed barrier.
    fn may_accept(&self, at: usize, token: usize, shown_at: Duration, was_asked: bool) {
        let verifier = &self.verifiers[at];
        let Token { revoked_at, confirmed_at, .. } = &self.tokens[token];
        let what = || {
            format!(
                "{}: {} ({}, {:?}) accepts {:?}, shown at {shown_at:?}",
                self.at(),
                verifier.name,
                verifier.policy,
                verifier.stale_after,
                self.tokens[token]
            )
        };
        if let Some(revoked_at) = revoked_at
            && verifier.policy != StalePolicy::Allow
            && !was_asked
        {
            assert!(shown_at <= *revoked_at + verifier.stale_after, "past its bound: {}", what());
        }
        // A verifier with the policy allow that has just started knows no revocations yet. Its policy permits that.
        let is_in_contact = || {
            let process = verifier.process.lock().unwrap().clone();
            process.is_some_and(|process| process.freshness.heard_ago(self.now()).is_some())
        };
        if let Some(confirmed_at) = confirmed_at
            && (verifier.policy != StalePolicy::Allow || is_in_contact())
        {
            assert!(shown_at <= *confirmed_at, "after a barrier: {}", what());
        }
    }

    /// Checks a refused token: it must be revoked or expired.
    fn may_refuse(&self, at: usize, token: usize, error: TokenError) {
        let (verifier, shown) = (&self.verifiers[at], &self.tokens[token]);
        let is_alive = verifier.clock.is_true() && verifier.clock.now().unix_seconds() < shown.expires_at;
        assert!(shown.is_spent || !is_alive, "{}: {} refuses {shown:?}: {error:?}", self.at(), verifier.name);
    }

    /// Updates the times since which verifiers receive key announcements.
    fn touch(&mut self) {
        for at in 0..self.verifiers.len() {
            let now = self.now();
            let is_live = self.verifiers[at].process().is_some_and(|process| process.freshness.is_live(now));
            self.in_touch[at] = self.in_touch[at].or(Some(now)).filter(|_| is_live);
        }
    }

    /// Checks an unknown key: a verifier that receives announcements must know the key of a valid token, except in an
    /// emergency.
    fn may_not_know(&self, at: usize, token: usize, shown_at: Duration) {
        let (verifier, shown) = (&self.verifiers[at], &self.tokens[token]);
        let is_notified = self.in_touch[at].is_some_and(|since| since.saturating_add(IN_TOUCH) <= shown_at);
        assert!(
            shown.is_spent || !is_notified || shown_at < self.emergency_until,
            "{}: {} doesn't know the key of {shown:?}, shown at {shown_at:?}",
            self.at(),
            verifier.name
        );
    }

    /// Changes the signing key: usually by a rotation, sometimes by a revocation.
    fn rotate(&mut self) {
        if !self.mint.has_keys() {
            return;
        }
        let what = match self.tokens.last() {
            Some(last) if self.draw.once_in(5) => What::Key(last.kid.clone()),
            _ => What::Rotate,
        };
        let hits = match &what {
            What::Key(kid) => {
                self.doomed.push(kid.clone());
                self.spend(|token| token.kid == *kid)
            }
            _ => Vec::new(),
        };
        self.order(what, hits, None);
    }

    /// Marks tokens as about to be revoked.
    fn spend(&mut self, is_one: impl Fn(&Token) -> bool) -> Vec<usize> {
        let ones: Vec<_> = (0..self.tokens.len()).filter(|&at| is_one(&self.tokens[at])).collect();
        for &at in &ones {
            self.tokens[at].is_spent = true;
        }
        ones
    }

    fn spend_all_of(&mut self, owner: Owner) -> Vec<usize> {
        let mut ones = self.spend(|token| token.owner == owner);
        ones.retain(|&at| !self.tokens[at].is_beyond);
        ones
    }

    fn order(&mut self, what: What, hits: Vec<usize>, until_done: Option<Owner>) {
        let wait = !self.draw.once_in(4);
        self.orders.push((hits, until_done));
        let order = Order { number: self.orders.len() - 1, what, wait };
        self.draw.one(&self.issuers).order(order);
    }

    fn all_are_current(&mut self) {
        let mut heads = Vec::new();
        for verifier in &self.verifiers {
            let process = verifier.process().expect("it runs");
            let is_stale = process.freshness.is_stale(self.now(), verifier.stale_after);
            assert!(
                !is_stale,
                "{}: {} is not current again: {:?} ago",
                self.at(),
                verifier.name,
                process.freshness.heard_ago(self.now())
            );
            heads.push(process.position());
        }
        assert!(heads.windows(2).all(|two| two[0] == two[1]), "{}: {heads:?}", self.at());
        let revoked = self.tokens.iter().any(|token| token.revoked_at.is_some());
        assert!(!revoked || heads[0].is_some_and(|head| head.seq > Seq::START), "{}: {heads:?}", self.at());
        self.all_answers_are_right();
    }

    /// In the end each verifier must give the right answer to each token, whatever it cached before.
    fn all_answers_are_right(&self) {
        for verifier in &self.verifiers {
            let process = verifier.process().expect("it runs");
            for shown in &self.tokens {
                let answer = process.at_once(&shown.text);
                let is_alive = self.clock.now().unix_seconds() < shown.expires_at;
                let is_right = match answer {
                    AtOnce::Accepted => shown.revoked_at.is_none(),
                    AtOnce::Refused(_) => shown.is_spent || !is_alive,
                    // The key was revoked together with the tokens that it signed.
                    AtOnce::Asks => shown.is_spent,
                    AtOnce::Later => false,
                };
                assert!(is_right, "{}: {} of {shown:?} in the end: {answer:?}", self.at(), verifier.name);
            }
        }
    }

    /// Mints a token, and may revoke some.
    fn revoke(&mut self) {
        let owner = *self.draw.one(&[
            Owner::Resource,
            Owner::Resource,
            Owner::Caller,
            Owner::Account(0),
            Owner::Account(1),
        ]);
        self.mint(owner);
        if self.tokens.is_empty() || self.draw.once_in(4) {
            return;
        }
        let (what, hits, until_done) = match (self.draw.below(10), owner) {
            (0, Owner::Caller) => (What::Client, self.spend_all_of(owner), Some(owner)),
            (0, Owner::Account(at)) => (What::Account(at), self.spend_all_of(owner), Some(owner)),
            (1..4, Owner::Account(at)) => {
                let Some(session) = self.mint.take_session(at) else { return };
                let sid = jws::payload(&self.tokens[self.tokens.len() - 1].text)["sid"].clone();
                (What::Session(session), self.spend(|token| jws::payload(&token.text)["sid"] == sid), None)
            }
            _ => {
                let back = self.tokens.len().min(50);
                let token = self.tokens.len() - 1 - self.draw.below(back);
                if self.tokens[token].is_spent {
                    return;
                }
                self.tokens[token].is_spent = true;
                (What::Token(self.tokens[token].text.clone()), vec![token], None)
            }
        };
        self.order(what, hits, until_done);
    }

    fn mint(&mut self, owner: Owner) {
        let Some(text) = self.mint.token(owner) else { return };
        let (header, claims): (Value, Value) = (jws::header(&text), jws::payload(&text));
        let kid = header["kid"].as_str().unwrap().to_owned();
        if let Some(last) = self.tokens.last()
            && last.kid != kid
        {
            self.tally.rotated += 1;
            if self.doomed.contains(&last.kid) {
                self.emergency_until = self.now() + EMERGENCY;
            }
        }
        // An unfinished order may revoke this token. An issuer whose clock is ahead also revokes tokens that are minted
        // later.
        let is_hit = |(_, of): &(Vec<usize>, Option<Owner>)| *of == Some(owner);
        let is_ahead = claims["iat"].as_i64().unwrap() > self.clock.now().unix_seconds() + 50;
        // In a part that was lost, a clock that was ahead may have revoked what the owner gets later. Verifiers alone know it.
        let may_be_lost = self.tally.went_back > 0 && owner != Owner::Resource;
        let is_spent =
            is_ahead || may_be_lost || self.doomed.contains(&kid) || self.orders.iter().any(is_hit);
        let expires_at = claims["exp"].as_i64().unwrap();
        self.tally.tokens += 1;
        self.tokens.push(Token {
            text,
            kid,
            owner,
            expires_at,
            is_beyond: false,
            is_spent,
            revoked_at: None,
            confirmed_at: None,
        });
    }

    /// Starts a fault.
    fn trouble(&mut self) {
        let verifier = self.draw.below(self.verifiers.len());
        let issuer = self.draw.below(self.issuers.len());
        let pair = (self.verifiers[verifier].name.clone(), self.issuers[issuer].name.clone());
        let host = if self.draw.once_in(2) { Host::Verifier(verifier) } else { Host::Issuer(issuer) };
        let trouble = match self.draw.below(8) {
            0 | 1 => Trouble::Cut(pair.0, pair.1),
            2 => Trouble::Held(pair.0, pair.1),
            3 => Trouble::Down(host),
            4..=6 => Trouble::Stopped(host),
            _ => Trouble::Clock(host),
        };
        // A link or a host has one fault at a time. Different links and hosts may have faults at the same time.
        let is_taken = self.troubles.iter().any(|(_, other)| match (other, &trouble) {
            (Trouble::Cut(a, b) | Trouble::Held(a, b), Trouble::Cut(c, d) | Trouble::Held(c, d)) => {
                (a, b) == (c, d)
            }
            (Trouble::Down(a) | Trouble::Stopped(a), Trouble::Down(b) | Trouble::Stopped(b))
            | (Trouble::Clock(a), Trouble::Clock(b)) => a == b,
            _ => false,
        });
        if is_taken {
            return;
        }
        match &trouble {
            Trouble::Cut(a, b) => self.sim.partition(a.as_str(), b.as_str()),
            Trouble::Held(a, b) => self.sim.hold(a.as_str(), b.as_str()),
            Trouble::Down(host) => {
                if let Host::Verifier(at) = host {
                    *self.verifiers[*at].process.lock().unwrap() = None;
                }
                self.sim.crash(self.name(*host));
            }
            Trouble::Stopped(host) => self.gate(*host).close(),
            Trouble::Clock(host) => {
                let furthest = *self.draw.one(&[30_000, 30_000, 3_600_000, 86_400_000]);
                let millis =
                    i64::try_from(self.draw.below(2 * furthest)).unwrap() - i64::try_from(furthest).unwrap();
                self.clock_of(*host).set_ahead(millis);
            }
        }
        let until = self.now()
            + if self.draw.once_in(4) {
                self.draw.millis(4_000..15_000)
            } else {
                self.draw.millis(50..3_000)
            };
        self.troubles.push((until, trouble));
    }

    /// Ends the faults that have lasted long enough, or all of them.
    fn mend(&mut self, all: bool) {
        let now = self.now();
        let (over, on): (Vec<_>, _) =
            std::mem::take(&mut self.troubles).into_iter().partition(|(until, _)| all || *until <= now);
        self.troubles = on;
        for (_, trouble) in over {
            match trouble {
                Trouble::Cut(a, b) => self.sim.repair(a.as_str(), b.as_str()),
                Trouble::Held(a, b) => self.sim.release(a.as_str(), b.as_str()),
                Trouble::Down(host) => self.sim.bounce(self.name(host)),
                Trouble::Stopped(host) => self.gate(host).open(),
                Trouble::Clock(host) => self.clock_of(host).set_ahead(0),
            }
        }
    }

    fn name(&self, host: Host) -> String {
        match host {
            Host::Issuer(at) => self.issuers[at].name.clone(),
            Host::Verifier(at) => self.verifiers[at].name.clone(),
        }
    }

    fn gate(&self, host: Host) -> &Gate {
        match host {
            Host::Issuer(at) => &self.issuers[at].gate,
            Host::Verifier(at) => &self.verifiers[at].gate,
        }
    }

    fn clock_of(&self, host: Host) -> &SimulatedClock {
        match host {
            Host::Issuer(at) => &self.issuers[at].clock,
            Host::Verifier(at) => &self.verifiers[at].clock,
        }
    }

    fn at(&self) -> String {
        format!("run {:016x} at {:?} with {:?}", self.seed, self.now(), self.troubles)
    }
}

const _: () = assert!(TTL.as_secs() > TROUBLE.as_secs());
