//! What an action changes.

use smallvec::SmallVec;

use crate::{
    Action, Protocol, Rotation, State, Variant,
    action::{StepBack, counts_connections, next_token},
    state::{Ack, ENTRIES, EntrySet, Log, Message, NextKey, Position, Target, Verifier, Watcher, narrow},
};

/// The state after `action`. `None` when nothing changes, or the action is refused.
pub(crate) fn next(protocol: &Protocol, last: &State, action: &Action) -> Option<State> {
    let mut step = Step {
        variant: protocol.variant,
        has_steps_back: protocol.bounds.steps_back > 0,
        counts_connections: counts_connections(&protocol.bounds, protocol.variant),
        state: last.clone(),
    };
    match *action {
        Action::Revoke(target) => step.revoke(target),
        Action::Complete(number) => step.complete(number)?,
        Action::Refresh => step.refresh(),
        Action::ShowSpent => step.show_spent(),
        Action::Tick => step.tick(),
        Action::Connect(verifier) => step.connect(verifier),
        Action::Acknowledge(verifier) => {
            step.acknowledge(verifier);
            step.take_ack(verifier)?;
        }
        Action::AcknowledgeLate(verifier) => {
            step.acknowledge(verifier);
            step.state.late_acks += 1;
        }
        Action::TakeAck(verifier) => step.take_ack(verifier)?,
        Action::Send(verifier) => step.send(verifier, 1),
        Action::Deliver(verifier) => step.deliver(verifier),
        Action::Lose(verifier) => {
            step.state.verifiers[verifier].coming.remove(0);
            step.state.losses += 1;
        }
        Action::Cut { verifier, keeps_ack, is_noticed } => {
            step.cut(verifier, keeps_ack);
            step.state.database.watchers[verifier].is_connected &= !is_noticed;
        }
        Action::RestartVerifier { verifier, has_bundle } => step.restart_verifier(verifier, has_bundle),
        Action::RestartIssuer => {
            step.state.restarts += 1;
            let State { database, .. } = &mut step.state;
            // When another database took the place, its rows are those of the copy.
            for watcher in &mut database.watchers {
                watcher.acked = watcher.acked.filter(|&acked| database.log.contains(acked));
            }
            step.restart_issuer();
        }
        Action::StepBack(back) => step.step_back(back),
        Action::Recover => step.recover(protocol.bounds.has_keys_and_clocks),
        Action::Sweep => step.sweep(),
        Action::Publish => step.state.database.next_key = NextKey::Published { lately: true },
        Action::Fetch(verifier) => step.state.verifiers[verifier].has_next_key = true,
        Action::Sign => step.sign(protocol.bounds.rotation?)?,
        Action::Claim => step.state.database.has_evidence |= protocol.variant == Variant::WithoutProofs,
    }
    if protocol.is_folded {
        step.forget_what_makes_no_difference();
        step.state.sort_verifiers();
    }
    (step.state != *last).then_some(step.state)
}

struct Step {
    variant: Variant,
    /// Otherwise a proof can show nothing.
    has_steps_back: bool,
    /// Whether it matters who is connected.
    counts_connections: bool,
    state: State,
}

impl Step {
    /// States that differ in nothing that still matters become one.
    fn forget_what_makes_no_difference(&mut self) {
        let does_serve = self.state.does_serve();
        let State { made, expired, verifiers, database, .. } = &mut self.state;
        let recovery = |target: &Target| matches!(target, Target::EverythingBefore { .. });
        let ids: SmallVec<[u8; ENTRIES]> = (0..narrow(made.len())).collect();
        let has_covered = *expired != 0 || made.iter().any(recovery);
        for (verifier, watcher) in verifiers.iter_mut().zip(&mut database.watchers) {
            let is_applied = |id: u8| verifier.applied & (1 << id) != 0;
            let is_covered = |id: u8| {
                let target = made[usize::from(id)];
                let covers = |&other: &u8| {
                    let own = made[usize::from(other)];
                    is_applied(other) && own.covers(target) && (own != target || other < id)
                };
                *expired & (1 << id) != 0 || ids.iter().any(covers)
            };
            if has_covered {
                let covered = ids.iter().filter(|&&id| is_applied(id) && is_covered(id));
                verifier.applied &= !covered.map(|id| 1 << id).sum::<EntrySet>();
            }
            watcher.is_connected &= self.counts_connections;
            // A recovery begins another log.
            if !does_serve && self.variant != Variant::AcknowledgesNumbers {
                watcher.acked = None;
            }
        }
    }

    /// The issuer compares its database with the mark, and with what it knows. Whether it goes on.
    fn serves_after_a_look(&mut self) -> bool {
        let State { database, memory, is_behind_mark, made, .. } = &mut self.state;
        let is_another = memory.is_some() && self.variant != Variant::TrustsItsMemory;
        let head = database.log.head(made, self.variant);
        let lost_its_head = !database.log.entries.is_empty() && !database.log.has(head, made, self.variant);
        database.has_evidence |= *is_behind_mark || is_another || lost_its_head;
        self.state.does_serve()
    }

    fn revoke(&mut self, target: Target) {
        if self.serves_after_a_look() {
            self.state.revocations += 1;
            self.append(target);
        }
    }

    fn append(&mut self, target: Target) {
        let id = narrow(self.state.made.len());
        self.state.made.push(target);
        self.state.database.log.entries.push(id);
        if self.variant != Variant::AnswersFirst && self.state.memory.is_none() {
            for verifier in 0..self.state.verifiers.len() {
                if self.state.verifiers[verifier].is_streaming {
                    self.send(verifier, usize::MAX);
                }
            }
        }
    }

    fn complete(&mut self, number: u8) -> Option<()> {
        if !self.serves_after_a_look() {
            return Some(());
        }
        if !is_complete(&self.state, number, self.variant) {
            return None;
        }
        let State { database, verifiers, .. } = &self.state;
        let id = database.log.entries[usize::from(number - database.log.begins_at) - 1];
        let accepts = |(at, verifier): (usize, &Verifier)| {
            // Who doesn't refuse when it is stale accepts what it can't know: when it begins without a bundle, and when the
            // database forgot it.
            let is_known =
                verifier.does_deny || database.watchers[at].is_known && verifier.position.is_some();
            let may_be_unknown = self.state.forgotten_unseen & (1 << at) != 0;
            is_known
                && !may_be_unknown
                && self.state.does_accept(verifier)
                && (0..=id).any(|id| !self.state.is_settled(verifier, id))
        };
        let is_too_early = verifiers.iter().enumerate().any(accepts);
        self.state.faults.complete_too_early |= is_too_early;
        if self.state.forgotten_unseen == 0 {
            self.state.due_below = self.state.due_below.max(id + 1);
        }
        Some(())
    }

    fn refresh(&mut self) {
        if !self.serves_after_a_look() || self.state.database.has_ended_sessions {
            return;
        }
        if self.state.database.generation < self.state.refreshed {
            // The token is newer than its session.
            self.state.database.has_evidence = true;
        } else {
            self.state.database.generation += 1;
            self.state.refreshed += 1;
        }
    }

    fn show_spent(&mut self) {
        if !self.serves_after_a_look() || self.state.database.has_ended_sessions {
            return;
        }
        let is_current = self.state.database.generation < self.state.refreshed;
        self.state.faults.spent_token_lived |= is_current && !self.state.mark_went_back;
    }

    fn tick(&mut self) {
        let state = &mut self.state;
        state.due_below = narrow(state.made.len());
        state.database.was_recovered_lately = false;
        for watcher in &mut state.database.watchers {
            watcher.is_silent = watcher.is_known;
        }
        if let NextKey::Published { lately } = &mut state.database.next_key {
            *lately = false;
        }
        for verifier in &mut state.verifiers {
            verifier.is_fresh = false;
            if let Some(ack) = &mut verifier.ack {
                ack.is_recent = false;
            }
            for message in &mut verifier.coming {
                if let Message::Heartbeat { is_recent, .. } = message {
                    *is_recent = false;
                }
            }
        }
        state.forgotten_unseen = 0;
        if !state.went_back {
            state.lost_unseen = 0;
        }
    }

    fn connect(&mut self, at: usize) {
        self.take_proof(at);
        let state = &mut self.state;
        let log = state.memory.as_ref().unwrap_or(&state.database.log).clone();
        let head = log.head(&state.made, self.variant);
        let verifier = &mut state.verifiers[at];
        let resumed = verifier.position.filter(|&position| log.has(position, &state.made, self.variant));
        verifier.is_streaming = true;
        verifier.coming.clear();
        if let Some(position) = resumed {
            verifier.sent = position.number;
        } else {
            let unswept = log.entries.iter().skip(usize::from(log.swept));
            let entries: EntrySet = unswept.map(|id| 1 << id).sum();
            verifier.sent = head.number;
            self.take_snapshot(at, head, entries);
        }
        self.state.database.watchers[at] = Watcher {
            is_known: true,
            is_connected: true,
            is_silent: false,
            acked: resumed,
            has_next_key: false,
        };
        if self.variant != Variant::AnswersFirst {
            self.send(at, usize::MAX);
        }
    }

    /// The issuer looks at the proof in a hello.
    fn take_proof(&mut self, at: usize) {
        let State { database, verifiers, memory, made, faults, .. } = &mut self.state;
        let Some(proof) = verifiers[at].proof else { return };
        let log = memory.as_ref().unwrap_or(&database.log);
        let is_given_up = proof.log < log.id && self.variant != Variant::ForgetsGivenUpLogs;
        if !is_given_up && !log.has(proof, made, self.variant) {
            database.has_evidence = true;
        }
        let is_witness = proof.log >= database.log.id && !database.log.contains(proof) && memory.is_none();
        faults.overlooked_a_witness |= is_witness && !database.has_evidence;
    }

    /// Sends the next entries, at most `most`.
    fn send(&mut self, at: usize, most: usize) {
        let state = &mut self.state;
        let log = state.memory.as_ref().unwrap_or(&state.database.log);
        let verifier = &mut state.verifiers[at];
        for number in (verifier.sent + 1..=log.head_number()).take(most) {
            let Some(at) = log.position(number, &state.made, self.variant) else { continue };
            verifier.coming.push(Message::Delta { prev: number - 1, at });
            verifier.sent = number;
        }
    }

    fn acknowledge(&mut self, at: usize) {
        let verifier = &mut self.state.verifiers[at];
        verifier.ack = Some(Ack {
            position: verifier.position,
            has_next_key: verifier.has_next_key,
            is_recent: true,
            is_of_old_stream: false,
        });
    }

    fn take_ack(&mut self, at: usize) -> Option<()> {
        let ack = self.state.verifiers[at].ack.take()?;
        let does_serve = self.serves_after_a_look();
        let variant = self.variant;
        let state = &mut self.state;
        let log = state.memory.as_ref().unwrap_or(&state.database.log);
        let watcher = &mut state.database.watchers[at];
        if watcher.is_known {
            watcher.is_silent = false;
            let is_here = |position: &Position| {
                variant == Variant::AcknowledgesNumbers || log.has(*position, &state.made, variant)
            };
            if let Some(position) = ack.position.filter(is_here) {
                watcher.acked = Some(position);
            }
            watcher.has_next_key |= ack.has_next_key;
        }
        let verifier = &mut state.verifiers[at];
        let is_answered = ack.is_recent || variant == Variant::CountsFromTheAnswer;
        if ack.is_of_old_stream || !verifier.is_streaming || !does_serve || !is_answered {
            return Some(());
        }
        let sent = log.position(verifier.sent, &state.made, variant)?;
        verifier.coming.push(Message::Heartbeat { at: sent, is_recent: ack.is_recent });
        Some(())
    }

    fn deliver(&mut self, at: usize) {
        let variant = self.variant;
        let own = self.state.verifiers[at].position;
        let message = self.state.verifiers[at].coming.remove(0);
        let verifier = &mut self.state.verifiers[at];
        match message {
            Message::Delta { at, .. } if ignores(variant, at.number, own) => {}
            Message::Delta { prev, at: to } => {
                if own.is_some_and(|own| own.number == prev) || variant == Variant::SkipsGaps {
                    verifier.applied |= 1 << to.tag;
                    (verifier.position, verifier.proof) = (Some(to), None);
                } else {
                    self.cut(at, false);
                }
            }
            Message::Heartbeat { at: head, is_recent } => self.heartbeat(at, head, is_recent),
        }
    }

    fn take_snapshot(&mut self, at: usize, head: Position, entries: EntrySet) {
        let own = self.state.verifiers[at].position;
        if ignores(self.variant, head.number, own) {
            return;
        }
        let verifier = &mut self.state.verifiers[at];
        let kept = if self.variant == Variant::SnapshotReplaces { 0 } else { verifier.applied };
        let known = verifier.applied;
        verifier.applied = kept | entries;
        (verifier.position, verifier.proof) = (Some(head), None);
        let State { made, expired, verifiers, faults, .. } = &mut self.state;
        let (applied, expired) = (verifiers[at].applied, *expired);
        let is_in = |set: EntrySet, id: usize| set & (1 << id) != 0;
        let covers = |id| (0..made.len()).any(|own| is_in(applied, own) && made[own].covers(made[id]));
        faults.accepted_again |= (0..made.len()).any(|id| is_in(known & !expired, id) && !covers(id));
    }

    fn heartbeat(&mut self, at: usize, head: Position, is_recent: bool) {
        let variant = self.variant;
        let verifier = &mut self.state.verifiers[at];
        let is_current = verifier.position.is_some_and(|own| match variant {
            Variant::RefusesLowerSnapshots => own.number == head.number,
            _ => own.agrees(head, variant),
        });
        if !is_current {
            if variant != Variant::RefusesLowerSnapshots {
                self.cut(at, false);
            }
            return;
        }
        verifier.proof = Some(head).filter(|_| self.has_steps_back);
        if !is_recent && variant != Variant::CountsFromTheAnswer {
            return;
        }
        verifier.is_fresh = true;
        let State { database, verifiers, faults, .. } = &self.state;
        let verifier = &verifiers[at];
        if database.log.contains(head) {
            let prefix = usize::from(head.number - database.log.begins_at);
            let knows = |&id: &u8| self.state.is_settled(verifier, id);
            let follows_another = !database.log.entries[..prefix].iter().all(knows);
            self.state.faults.followed_another_log = faults.followed_another_log || follows_another;
        }
    }

    fn cut(&mut self, at: usize, keeps_ack: bool) {
        let verifier = &mut self.state.verifiers[at];
        verifier.is_streaming = false;
        verifier.coming.clear();
        verifier.sent = 0;
        verifier.ack = verifier.ack.filter(|_| keeps_ack).map(|ack| Ack { is_of_old_stream: true, ..ack });
    }

    fn restart_verifier(&mut self, at: usize, has_bundle: bool) {
        self.state.restarts += 1;
        self.cut(at, false);
        let verifier = &mut self.state.verifiers[at];
        verifier.is_fresh = false;
        if !has_bundle {
            (verifier.applied, verifier.position) = (0, None);
        }
        verifier.proof = None;
    }

    fn restart_issuer(&mut self) {
        for verifier in 0..self.state.verifiers.len() {
            self.cut(verifier, false);
        }
        let state = &mut self.state;
        state.memory = None;
        state.does_refuse = state.is_behind_mark;
        for watcher in &mut state.database.watchers {
            watcher.is_connected = false;
            watcher.is_known &= self.variant != Variant::KeepsWatchersInMemory;
        }
    }

    fn step_back(&mut self, back: StepBack) {
        let variant = self.variant;
        let state = &mut self.state;
        (state.steps_back, state.went_back) = (state.steps_back + 1, true);
        let before = state.database.log.clone();
        let lost: SmallVec<[u8; ENTRIES]> =
            state.database.log.entries.drain(usize::from(back.keeps)..).collect();
        state.database.generation -= u8::from(back.loses_refresh);
        state.mark_went_back = back.with_mark;
        state.is_behind_mark = match variant {
            Variant::WithoutMark => false,
            Variant::MarkOfPositionAlone => !back.with_mark && !lost.is_empty(),
            _ => !back.with_mark,
        };
        if back.with_mark {
            state.lost_unseen |= lost.iter().map(|id| 1 << id).sum::<EntrySet>();
        }
        if back.is_running {
            state.memory = Some(before).filter(|_| !lost.is_empty());
            return;
        }
        if back.with_mark {
            state.forgotten_unseen = back.forgets;
        }
        let log = state.database.log.clone();
        for (at, watcher) in state.database.watchers.iter_mut().enumerate() {
            watcher.is_known &= back.forgets & (1 << at) == 0;
            watcher.acked = watcher.acked.filter(|&acked| watcher.is_known && log.contains(acked));
        }
        self.restart_issuer();
    }

    fn recover(&mut self, has_keys_and_clocks: bool) {
        let variant = self.variant;
        let state = &mut self.state;
        let begins_at = state.database.log.head_number();
        state.database.log = Log { id: state.next_log, begins_at, entries: SmallVec::new(), swept: 0 };
        state.next_log += 1;
        (state.went_back, state.is_behind_mark, state.does_refuse) = (false, false, false);
        state.mark_went_back = false;
        state.database.has_evidence = false;
        state.database.has_ended_sessions = true;
        state.database.was_recovered_lately = variant != Variant::RecoversWithoutPause;
        self.restart_issuer();
        let token = next_token(&self.state.made);
        self.append(Target::EverythingBefore { token, with_future: variant != Variant::RecoversByItsClock });
        if has_keys_and_clocks && variant != Variant::RecoversWithoutKeys {
            self.append(Target::Key);
        }
    }

    fn sweep(&mut self) {
        let State { database, made, expired, .. } = &mut self.state;
        let swept = made[usize::from(database.log.entries[usize::from(database.log.swept)])];
        let covered = (0..narrow(made.len())).filter(|&id| swept.covers(made[usize::from(id)]));
        *expired |= covered.map(|id| 1 << id).sum::<EntrySet>();
        database.log.swept += 1;
    }

    fn sign(&mut self, rotation: Rotation) -> Option<()> {
        let variant = self.variant;
        let State { database, verifiers, .. } = &self.state;
        let NextKey::Published { lately } = database.next_key else { return None };
        let counts = |watcher: &Watcher| match rotation {
            Rotation::SameAlgorithm => watcher.is_connected,
            Rotation::OtherAlgorithm => watcher.is_connected || variant != Variant::WaitsForTheConnected,
        };
        let waits = |watcher: &Watcher| watcher.is_known && counts(watcher) && !watcher.has_next_key;
        let is_early = variant != Variant::RotatesAtOnce && (lately || database.watchers.iter().any(waits));
        if is_early {
            return None;
        }
        let lacks = |(watcher, verifier): (&Watcher, &Verifier)| {
            let watches = match rotation {
                Rotation::SameAlgorithm => verifier.is_streaming && watcher.is_connected,
                Rotation::OtherAlgorithm => watcher.is_known,
            };
            watches && !verifier.has_next_key
        };
        self.state.faults.signed_too_early = database.watchers.iter().zip(verifiers).any(lacks);
        self.state.database.next_key = NextKey::Signs;
        Some(())
    }
}

/// Whether the variant ignores what is not above its own number.
fn ignores(variant: Variant, number: u8, own: Option<Position>) -> bool {
    variant == Variant::RefusesLowerSnapshots && own.is_some_and(|own| number <= own.number)
}

/// Whether a barrier for that number is complete now.
pub(crate) fn is_complete(state: &State, number: u8, variant: Variant) -> bool {
    let State { database, verifiers, .. } = state;
    let is_acked = |watcher: &Watcher| {
        watcher.acked.is_some_and(|acked| {
            let is_of_this_log = acked.log == database.log.id || variant == Variant::AcknowledgesNumbers;
            is_of_this_log && acked.number >= number
        })
    };
    let honours = |(watcher, verifier): (&Watcher, &Verifier)| {
        let is_stale = watcher.is_silent && (verifier.does_deny || variant == Variant::CountsSilenceOfAll);
        let is_let_go = !watcher.is_connected && variant == Variant::ForgetsTheLost;
        !watcher.is_known || is_acked(watcher) || is_stale || is_let_go
    };
    state.does_serve()
        && !database.was_recovered_lately
        && database.watchers.iter().zip(verifiers).all(honours)
}
