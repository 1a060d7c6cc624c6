//! Replays what was said through the model of the protocol. Each message has to be one that the model sends, or that says no
//! more than the model does, so that what holds for the model holds for the code.
//!
//! The model takes one verifier's message after the other. So where several are under way, the replay delivers them when the
//! verifier shows that it has them: in its next acknowledgement, or its next hello.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use protocol_model::{
    Action, Bounds, Policy, Protocol, State, Variant,
    action::StepBack,
    state::{BEGIN, EntryId, EntrySet, MOST_ENTRIES, Message, Position, Target, Watcher},
};
use stateright::{Expectation, Model as _};

use crate::trace::{Event, Place, StreamNumber};

/// Number of events that a failure shows.
const RECENT: usize = 60;

/// An issuer that has no evidence of its own reads it within this time.
const EVIDENCE_SPREADS: Duration = Duration::from_secs(2);

/// The length of a step.
const STEP: Duration = Duration::from_millis(5);

/// The longest `stale_after` of a verifier. A recovery's pause lasts longer.
const LONGEST_STALE_AFTER: Duration = Duration::from_millis(4_500);

/// A verifier of the simulation.
#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    pub(crate) stale_after: Duration,
}

/// The model, and what it has been shown so far.
#[derive(Debug)]
pub(crate) struct Replay {
    protocol: Protocol,
    state: State,
    participants: Vec<Participant>,
    /// For each log of the model, its id on the wire. `None` until it is seen.
    logs: Vec<Option<Vec<u8>>>,
    /// For each log of the model, the number at which it begins.
    begins: Vec<u8>,
    /// For each entry of the model, its log, its number, and its tag on the wire once it is seen.
    entries: Vec<(u8, u8, Option<Vec<u8>>)>,
    streams: BTreeMap<StreamNumber, Stream>,
    /// For each verifier, its present stream.
    present: Vec<Option<StreamNumber>>,
    /// For each verifier, how many of the messages under way were sent.
    sent: Vec<usize>,
    /// For each verifier, what it knew at each of its positions.
    past: Vec<Vec<(Option<Position>, EntrySet)>>,
    /// For each verifier, when it was last seen.
    seen_at: Vec<Duration>,
    /// The same, before the present step.
    seen_before: Vec<Duration>,
    /// For each verifier, when it was answered last. It counts its age from before that.
    answered_at: Vec<Option<Duration>>,
    copy: Option<(u8, u8)>,
    evidence_since: Option<Duration>,
    recovered_at: Option<Duration>,
    /// Whether the model holds no more entries.
    is_full: bool,
    /// Number of messages that were compared.
    pub(crate) compared: usize,
    now: Duration,
    /// The last events, for whoever reads why it failed.
    recent: VecDeque<String>,
}

#[derive(Debug)]
struct Stream {
    verifier: usize,
    is_open: bool,
    /// Acknowledgements that came before the first answer was seen.
    early: Vec<Option<Place>>,
    /// Number of deltas that were lost, and not missed yet.
    lost: usize,
}

impl Replay {
    /// A log whose last number is `head`.
    pub(crate) fn new(participants: Vec<Participant>, head: u64) -> Self {
        let verifiers: Vec<_> = participants.iter().map(|participant| participant.policy).collect();
        let count = verifiers.len();
        let bounds = Bounds { verifiers, entries: u8::MAX, steps_back: 1, ..Bounds::none() };
        let mut state = State::new(&bounds);
        state.database.log.begins_at = small(head);
        Self {
            protocol: Protocol { bounds, variant: Variant::Whole, is_folded: false },
            state,
            participants,
            logs: vec![None],
            begins: vec![small(head)],
            entries: Vec::new(),
            streams: BTreeMap::new(),
            present: vec![None; count],
            sent: vec![0; count],
            past: vec![vec![(None, 0)]; count],
            seen_at: vec![Duration::ZERO; count],
            seen_before: vec![Duration::ZERO; count],
            answered_at: vec![None; count],
            copy: None,
            evidence_since: None,
            recovered_at: None,
            is_full: false,
            compared: 0,
            now: Duration::ZERO,
            recent: VecDeque::new(),
        }
    }

    /// Replays events. Panics when the model says otherwise.
    pub(crate) fn replay(&mut self, events: Vec<(Duration, Event)>) {
        for (at, event) in events {
            if self.is_full {
                return;
            }
            self.now = at;
            let what = format!("{event:?}");
            self.recent.push_back(format!("{at:?} {what}"));
            if self.recent.len() > RECENT {
                self.recent.pop_front();
            }
            let outcome = self.take(event).and_then(|()| self.check_laws());
            if let Err(why) = outcome
                && !self.is_full
            {
                let State { database, verifiers, .. } = &self.state;
                let recent = self.recent.make_contiguous().join("\n");
                panic!("the model says otherwise: {why}\n{recent}\n{database:?}\n{verifiers:#?}");
            }
            self.compared += 1;
        }
    }

    fn check_laws(&mut self) -> Result<(), String> {
        self.evidence_since =
            self.evidence_since.or(Some(self.now)).filter(|_| self.state.database.has_evidence);
        for law in self.protocol.properties() {
            let is_law = matches!(law.expectation, Expectation::Always);
            if is_law && !(law.condition)(&self.protocol, &self.state) {
                return Err(format!("it breaks \"{}\"", law.name));
            }
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Hello { stream, verifier, place, proof, .. } => {
                let verifier = self.participants.iter().position(|participant| participant.name == verifier);
                self.hello(stream, verifier.ok_or("nobody has that name")?, place, proof)
            }
            Event::Ack { stream, place } => self.ack(stream, place),
            Event::Snapshot { stream, at } => self.snapshot(stream, &at),
            Event::Delta { stream, prev, number, tag } => {
                self.delta(stream, small(prev), small(number), &tag)
            }
            Event::Lost { stream } => {
                if let Some(stream) = self.streams.get_mut(&stream) {
                    stream.lost += 1;
                }
                Ok(())
            }
            Event::Echo { stream, at } => self.echo(stream, &at),
            Event::Answered { number } => self.reach(small(number)),
            Event::Complete { number } => self.complete(small(number)),
            Event::Copied { number } => {
                self.reach(small(number))?;
                let known = self.known();
                self.copy = Some((small(self.state.database.log.entries.len() as u64), known));
                Ok(())
            }
            Event::PutBack { is_running, with_mark } => {
                let (keeps, known) = self.copy.ok_or("nothing was copied")?;
                let forgets = if is_running { 0 } else { self.known() & !known };
                self.note_what_may_arrive();
                let back = StepBack { keeps, loses_refresh: false, is_running, with_mark, forgets };
                self.act(&Action::StepBack(back));
                if !is_running {
                    self.end_streams();
                }
                Ok(())
            }
            Event::Recovered { number } => {
                if self.state.memory.is_none() && self.state.does_serve() {
                    self.reach(small(number))?;
                }
                self.note_what_may_arrive();
                self.act(&Action::Recover);
                self.logs.push(None);
                self.begins.push(self.state.database.log.begins_at);
                self.note_entries();
                self.end_streams();
                self.recovered_at = Some(self.now);
                Ok(())
            }
        }
    }

    fn act(&mut self, action: &Action) {
        if let Some(next) = self.protocol.next_state(&self.state, action.clone()) {
            self.state = next;
        }
    }

    /// What was sent may arrive although the issuer is gone. A later hello shows it.
    fn note_what_may_arrive(&mut self) {
        for (at, verifier) in self.state.verifiers.iter().enumerate() {
            let mut applied = verifier.applied;
            for message in verifier.coming.iter().take(self.sent[at]) {
                if let Message::Delta { at: to, .. } = message {
                    applied |= 1 << to.tag;
                    self.past[at].push((Some(*to), applied));
                }
            }
        }
    }

    fn end_streams(&mut self) {
        self.streams.clear();
        self.present.fill(None);
        self.sent.fill(0);
    }

    fn known(&self) -> u8 {
        let watchers = self.state.database.watchers.iter().enumerate();
        watchers.filter(|(_, watcher)| watcher.is_known).map(|(at, _)| 1 << at).sum()
    }

    /// Revokes, until the log has that number.
    fn reach(&mut self, number: u8) -> Result<(), String> {
        while self.state.log().head_number() < number {
            let head = self.state.database.log.head_number();
            if self.state.made.len() + 4 > MOST_ENTRIES {
                self.is_full = true;
                return Err("the model is full".to_owned());
            }
            self.act(&Action::Revoke(Target::Token(small(self.state.made.len() as u64))));
            if self.state.database.log.head_number() == head {
                return Err(format!("it writes entry {number} although it has evidence of a loss"));
            }
            self.note_entries();
        }
        Ok(())
    }

    /// Notes where the newest entries are.
    fn note_entries(&mut self) {
        let log = &self.state.database.log;
        for id in self.entries.len()..self.state.made.len() {
            let place = log.entries.iter().position(|&own| usize::from(own) == id);
            let number = place.map_or(0, |place| log.begins_at + 1 + small(place as u64));
            self.entries.push((log.id, number, None));
        }
    }

    /// What the model calls a position that a verifier shows: one that it was sent.
    fn shown(&mut self, place: &Place) -> Result<Position, String> {
        let unknown = || format!("{place:?} is no position that there ever was");
        let log = self.log(&place.log_id).ok_or_else(unknown)?;
        let number = small(place.number);
        let is_it = |(_, (of, at, tag)): &(usize, &(u8, u8, Option<Vec<u8>>))| {
            (*of, *at) == (log, number) && tag.as_ref() == Some(&place.tag)
        };
        if let Some((id, _)) = self.entries.iter().enumerate().find(is_it) {
            return Ok(Position { log, number, tag: small(id as u64), content: 0 });
        }
        if self.begins[usize::from(log)] == number {
            return Ok(Position { log, number, tag: BEGIN, content: 0 });
        }
        Err(unknown())
    }

    /// What the model calls a position that the issuer says.
    fn said(&mut self, place: &Place) -> Result<Position, String> {
        if let Ok(known) = self.shown(place) {
            return Ok(known);
        }
        let unknown = || format!("{place:?} is not in the log");
        let log = self.log(&place.log_id).filter(|log| *log == self.state.log().id).ok_or_else(unknown)?;
        let number = small(place.number);
        self.reach(number)?;
        let own = self.state.log().position(number, &self.state.made, self.protocol.variant);
        let own = own.filter(|own| own.log == log).ok_or_else(unknown)?;
        if self.is_tag(own.tag, &place.tag) { Ok(own) } else { Err(unknown()) }
    }

    /// The model's number of a log. A log that is new on the wire is the newest.
    fn log(&mut self, log_id: &[u8]) -> Option<u8> {
        if let Some(known) = self.logs.iter().position(|log| log.as_deref() == Some(log_id)) {
            return Some(small(known as u64));
        }
        let newest = self.logs.last_mut().filter(|log| log.is_none())?;
        *newest = Some(log_id.to_vec());
        Some(small(self.logs.len() as u64 - 1))
    }

    /// Whether that entry has that tag. One whose tag was not seen yet has it from now on.
    fn is_tag(&mut self, id: EntryId, tag: &[u8]) -> bool {
        // At the beginning of a log the tag says nothing that the log's id doesn't.
        let Some((.., known)) = self.entries.get_mut(usize::from(id)) else { return true };
        known.get_or_insert_with(|| tag.to_vec()) == tag
    }

    fn hello(
        &mut self,
        stream: StreamNumber,
        verifier: usize,
        place: Option<Place>,
        proof: Option<Place>,
    ) -> Result<(), String> {
        let position = place.map(|place| self.shown(&place)).transpose()?;
        let proof = proof.map(|proof| self.shown(&proof)).transpose()?;
        self.deliver_up_to(verifier, position);
        self.act(&Action::Cut { verifier, keeps_ack: false, is_noticed: false });
        if self.state.verifiers[verifier].position != position {
            // It started again, with a bundle of some time ago or without one.
            let past = self.past[verifier].iter().rev().find(|(past, _)| *past == position);
            let &(position, applied) = past.ok_or("it is at a position that it was never at")?;
            let restarted = &mut self.state.verifiers[verifier];
            (restarted.position, restarted.applied, restarted.is_fresh) = (position, applied, false);
        }
        self.state.verifiers[verifier].proof = proof;
        self.sent[verifier] = 0;
        self.see(verifier);
        self.present[verifier] = Some(stream);
        self.streams.insert(stream, Stream { verifier, is_open: false, early: Vec::new(), lost: 0 });
        Ok(())
    }

    fn see(&mut self, verifier: usize) {
        if self.now > self.seen_at[verifier] + STEP {
            self.seen_before[verifier] = self.seen_at[verifier];
        }
        self.seen_at[verifier] = self.now;
    }

    /// Delivers what was sent, until the verifier is at that position.
    fn deliver_up_to(&mut self, verifier: usize, position: Option<Position>) {
        let is_it = |message: &Message| matches!(message, Message::Delta { at, .. } if Some(*at) == position);
        if !self.state.verifiers[verifier].coming.iter().take(self.sent[verifier]).any(is_it) {
            return;
        }
        while self.state.verifiers[verifier].position != position && self.sent[verifier] > 0 {
            self.sent[verifier] -= 1;
            self.act(&Action::Deliver(verifier));
            let Verifier { position, applied } = Verifier::of(&self.state, verifier);
            self.past[verifier].push((position, applied));
        }
    }

    /// The verifier whose present stream that is.
    fn present(&self, stream: StreamNumber) -> Option<usize> {
        let verifier = self.streams.get(&stream)?.verifier;
        (self.present[verifier] == Some(stream)).then_some(verifier)
    }

    /// The first answer of a stream has come, and it is no snapshot: the stream goes on where the verifier is.
    fn resume(&mut self, stream: StreamNumber, verifier: usize) -> Result<(), String> {
        if self.streams[&stream].is_open {
            return Ok(());
        }
        let own = self.state.verifiers[verifier].position.ok_or("it begins without a snapshot")?;
        if !self.state.log().has(own, &self.state.made, self.protocol.variant) {
            return Err(format!("it goes on after {own:?}, which the log doesn't have"));
        }
        self.act(&Action::Connect(verifier));
        self.open(stream)
    }

    fn open(&mut self, stream: StreamNumber) -> Result<(), String> {
        let Some(stream_now) = self.streams.get_mut(&stream) else { return Ok(()) };
        stream_now.is_open = true;
        for early in std::mem::take(&mut stream_now.early) {
            self.ack(stream, early)?;
        }
        Ok(())
    }

    fn snapshot(&mut self, stream: StreamNumber, at: &Place) -> Result<(), String> {
        let Some(verifier) = self.present(stream) else { return Ok(()) };
        let to = self.said(at)?;
        // The issuer may send one although it could go on: its memory reaches back less far than the log.
        self.act(&Action::Cut { verifier, keeps_ack: false, is_noticed: false });
        self.sent[verifier] = 0;
        self.state.verifiers[verifier].position = None;
        self.act(&Action::Connect(verifier));
        let log = self.state.log().clone();
        // What was written since the snapshot began follows as deltas.
        for number in to.number + 1..=log.head_number() {
            let next = log.position(number, &self.state.made, Variant::Whole).ok_or("a gap")?;
            let connected = &mut self.state.verifiers[verifier];
            connected.applied &= !(1 << next.tag) | self.past[verifier].last().map_or(0, |past| past.1);
            connected.coming.push(Message::Delta { prev: number - 1, at: next });
        }
        self.state.verifiers[verifier].position = Some(to);
        let Verifier { position, applied } = Verifier::of(&self.state, verifier);
        self.past[verifier].push((position, applied));
        self.open(stream)
    }

    fn delta(&mut self, stream: StreamNumber, prev: u8, number: u8, tag: &[u8]) -> Result<(), String> {
        let Some(verifier) = self.present(stream) else { return Ok(()) };
        self.resume(stream, verifier)?;
        self.reach(number)?;
        loop {
            let sent = self.sent[verifier];
            let coming = &mut self.state.verifiers[verifier].coming;
            match coming.get(sent).cloned() {
                Some(Message::Delta { prev: expected, at }) if at.number == number => {
                    if prev != expected {
                        return Err(format!("the entry before it is {expected}"));
                    }
                    if !self.is_tag(at.tag, tag) {
                        return Err("that entry has another tag".to_owned());
                    }
                    self.sent[verifier] += 1;
                    return Ok(());
                }
                Some(Message::Delta { at, .. }) if at.number < number && self.streams[&stream].lost > 0 => {
                    coming.remove(sent);
                    self.lose(stream);
                }
                // The model answers at once. The issuer answers later, when it has sent more: it says as much, and more.
                Some(Message::Heartbeat { is_recent, .. }) => {
                    let Some(Message::Delta { at, .. }) = coming.get(sent + 1).cloned() else {
                        return Err("nothing of that kind was to be sent".to_owned());
                    };
                    coming.swap(sent, sent + 1);
                    coming[sent + 1] = Message::Heartbeat { at, is_recent };
                }
                other => return Err(format!("the model sends {other:?}")),
            }
        }
    }

    fn lose(&mut self, stream: StreamNumber) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.lost -= 1;
        }
    }

    fn echo(&mut self, stream: StreamNumber, at: &Place) -> Result<(), String> {
        let Some(verifier) = self.present(stream) else { return Ok(()) };
        self.answered_at[verifier] = Some(self.now);
        self.resume(stream, verifier)?;
        let head = self.said(at)?;
        loop {
            let sent = self.sent[verifier];
            let coming = &mut self.state.verifiers[verifier].coming;
            match coming.get(sent).cloned() {
                Some(Message::Heartbeat { at, .. }) if at == head => {
                    self.sent[verifier] += 1;
                    return Ok(());
                }
                Some(Message::Delta { at, .. })
                    if at.number <= head.number && self.streams[&stream].lost > 0 =>
                {
                    coming.remove(sent);
                    self.lose(stream);
                }
                // The model answered before the entry that was lost.
                Some(Message::Heartbeat { is_recent, .. }) if self.streams[&stream].lost > 0 => {
                    let Some(Message::Delta { at, .. }) = coming.get(sent + 1).cloned() else {
                        return Err("nothing was lost here".to_owned());
                    };
                    coming.remove(sent + 1);
                    coming[sent] = Message::Heartbeat { at, is_recent };
                    self.lose(stream);
                }
                None if self.may_not_know_of_the_loss() => return Ok(()),
                other => return Err(format!("the model sends {other:?}")),
            }
        }
    }

    /// Whether another issuer may have the evidence, and this one not yet.
    fn may_not_know_of_the_loss(&self) -> bool {
        let is_recent = |since: Duration| self.now < since + EVIDENCE_SPREADS;
        self.state.went_back && self.evidence_since.is_none_or(is_recent)
    }

    fn ack(&mut self, stream: StreamNumber, place: Option<Place>) -> Result<(), String> {
        let Some(verifier) = self.present(stream) else { return Ok(()) };
        self.see(verifier);
        if !self.streams[&stream].is_open {
            let own = self.state.verifiers[verifier].position;
            let has = |own| self.state.log().has(own, &self.state.made, self.protocol.variant);
            if own.is_some_and(has) {
                self.resume(stream, verifier)?;
            } else {
                self.streams.get_mut(&stream).ok_or("a stream")?.early.push(place);
                return Ok(());
            }
        }
        let position = place.map(|place| self.shown(&place)).transpose()?;
        self.deliver_up_to(verifier, position);
        let own = self.state.verifiers[verifier].position;
        // It may not have the snapshot yet, which takes no time in the model.
        if own != position && !self.past[verifier].iter().any(|(past, _)| *past == position) {
            return Err(format!("it acknowledges what it was not sent: it is at {own:?}"));
        }
        // A later nonce takes the place of one that was not answered yet.
        let sent = self.sent[verifier];
        let coming = &mut self.state.verifiers[verifier].coming;
        let mut place = 0;
        coming.retain(|message| {
            place += 1;
            place <= sent || !matches!(message, Message::Heartbeat { .. })
        });
        let before = self.state.database.watchers[verifier].acked;
        self.act(&Action::Acknowledge(verifier));
        if own != position {
            self.state.database.watchers[verifier].acked = before;
        }
        Ok(())
    }

    fn complete(&mut self, number: u8) -> Result<(), String> {
        let knows_all = self.state.does_serve() && self.state.memory.is_none();
        if knows_all {
            self.reach(number)?;
        }
        if number <= self.state.database.log.begins_at {
            return Ok(());
        }
        if self.state.database.was_recovered_lately {
            if self.recovered_at.is_some_and(|at| self.now < at + LONGEST_STALE_AFTER) {
                return Err("a recovery was a moment ago".to_owned());
            }
            self.state.database.was_recovered_lately = false;
            for verifier in 0..self.participants.len() {
                self.state.verifiers[verifier].is_fresh = false;
            }
        }
        for verifier in 0..self.participants.len() {
            let participant = &self.participants[verifier];
            let watcher = &mut self.state.database.watchers[verifier];
            let log = self.state.database.log.id;
            let has_acked = watcher.acked.is_some_and(|acked| acked.log == log && acked.number >= number);
            // What the answer says was found a moment before it.
            let is_new = self.now <= self.seen_at[verifier] + STEP;
            let seen = if is_new { self.seen_before[verifier] } else { self.seen_at[verifier] };
            let is_over = |since: Duration| self.now > since + participant.stale_after;
            // An issuer that can't write answers nobody, and others count its watchers from when they were last stored.
            let is_silent = is_over(seen) || self.answered_at[verifier].is_none_or(is_over);
            if watcher.is_known && !has_acked && is_silent {
                watcher.is_silent = true;
                let stale = &mut self.state.verifiers[verifier];
                stale.is_fresh = false;
                for message in &mut stale.coming {
                    if let Message::Heartbeat { is_recent, .. } = message {
                        *is_recent = false;
                    }
                }
            }
        }
        if !knows_all {
            // An issuer may not know of the loss yet. Of what all have acknowledged its answer is true, even now.
            let log = self.state.log().id;
            let has_acked = |acked: &Position| acked.log == log && acked.number >= number;
            let refuses = |(watcher, verifier): (&Watcher, &protocol_model::state::Verifier)| {
                let is_stale = watcher.is_silent && verifier.does_deny;
                !watcher.is_known || is_stale || watcher.acked.as_ref().is_some_and(has_acked)
            };
            let have_all = self.state.database.watchers.iter().zip(&self.state.verifiers).all(refuses);
            return if have_all { Ok(()) } else { Err("somebody has not acknowledged it".to_owned()) };
        }
        if !self.protocol.is_complete(&self.state, number) {
            return Err("somebody may not refuse it yet".to_owned());
        }
        self.act(&Action::Complete(number));
        Ok(())
    }
}

/// Where a verifier is.
struct Verifier {
    position: Option<Position>,
    applied: EntrySet,
}

impl Verifier {
    fn of(state: &State, at: usize) -> Self {
        let verifier = &state.verifiers[at];
        Self { position: verifier.position, applied: verifier.applied }
    }
}

/// The model counts in small numbers.
fn small(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}
