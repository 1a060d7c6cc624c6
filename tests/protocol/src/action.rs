//! What can happen next.

use crate::{
    Bounds, Protocol, State, Variant,
    state::{Message, NextKey, Target, narrow},
};

/// Something that happens. Verifiers are named by their place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The issuer revokes something, and answers.
    Revoke(Target),
    /// A barrier for the entry with that number is complete.
    Complete(u8),
    /// The honest client refreshes its session.
    Refresh,
    /// Somebody shows a refresh token that is spent.
    ShowSpent,
    /// `stale_after` passes.
    Tick,
    /// A verifier opens a stream, and says where it is.
    Connect(usize),
    /// A verifier acknowledges its position, with a nonce, and the issuer takes it.
    Acknowledge(usize),
    /// A verifier acknowledges its position, with a nonce, which takes its time.
    AcknowledgeLate(usize),
    /// A late acknowledgement reaches the issuer.
    TakeAck(usize),
    /// The issuer sends the next entry. Only a [`Variant`] needs it: the protocol sends each entry when it is written.
    Send(usize),
    /// The next message reaches the verifier.
    Deliver(usize),
    /// The next message is lost, and the stream goes on.
    Lose(usize),
    /// The connection is lost, and what is on its way to the verifier.
    Cut {
        /// The verifier.
        verifier: usize,
        /// Whether the acknowledgement on its way still arrives.
        keeps_ack: bool,
        /// Whether the issuer notices.
        is_noticed: bool,
    },
    /// A verifier restarts.
    RestartVerifier {
        /// The verifier.
        verifier: usize,
        /// Whether it begins with what it knew.
        has_bundle: bool,
    },
    /// The issuer restarts.
    RestartIssuer,
    /// An older copy takes the place of the database.
    StepBack(StepBack),
    /// `auth-service recover`.
    Recover,
    /// The oldest entry is swept: what it revokes has expired.
    Sweep,
    /// The next key is published.
    Publish,
    /// A verifier fetches the key set.
    Fetch(usize),
    /// The next key signs from now on.
    Sign,
    /// A client claims a position above the head, without a proof.
    Claim,
}

/// A step back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StepBack {
    /// Number of entries that are left.
    pub keeps: u8,
    /// Whether a refresh is lost.
    pub loses_refresh: bool,
    /// Whether it happens under the running issuer.
    pub is_running: bool,
    /// Whether the mark goes back, too.
    pub with_mark: bool,
    /// The verifiers that the copy doesn't know, one bit each.
    pub forgets: u8,
}

/// Pushes all that can happen next.
pub(crate) fn possible(protocol: &Protocol, state: &State, actions: &mut Vec<Action>) {
    let Protocol { bounds, variant, .. } = protocol;
    of_issuer(bounds, *variant, state, actions);
    of_database(bounds, state, actions);
    if bounds.rotation.is_some() {
        of_rotation(state, actions);
    }
    for verifier in 0..state.verifiers.len() {
        of_verifier(bounds, *variant, state, verifier, actions);
    }
    actions.push(Action::Tick);
}

fn of_issuer(bounds: &Bounds, variant: Variant, state: &State, actions: &mut Vec<Action>) {
    if !state.does_serve() {
        return;
    }
    if state.revocations < bounds.entries {
        actions.push(Action::Revoke(Target::Token(next_token(&state.made))));
        let repeated = lost_token(state).filter(|_| bounds.repeats);
        actions.extend(repeated.map(|token| Action::Revoke(Target::Token(token))));
        if bounds.has_keys_and_clocks {
            let is_new = |target: &Target| !state.made.contains(target);
            actions.extend(
                [Target::Key, Target::TokenOfTheFuture].into_iter().filter(is_new).map(Action::Revoke),
            );
        }
    }
    let log = &state.database.log;
    // Who refuses when it is stale is held to all that is due already.
    let all_deny = state.verifiers.iter().all(|verifier| verifier.does_deny);
    let is_due =
        |&number: &u8| !all_deny || log.entries[usize::from(number - log.begins_at) - 1] >= state.due_below;
    actions.extend((log.begins_at + 1..=log.head_number()).filter(is_due).map(Action::Complete));
    if state.refreshed < bounds.refreshes {
        actions.push(Action::Refresh);
    }
    if state.refreshed > 0 {
        actions.push(Action::ShowSpent);
    }
    if variant == Variant::WithoutProofs {
        actions.push(Action::Claim);
    }
    if log.swept < bounds.sweeps && usize::from(log.swept) < log.entries.len() {
        actions.push(Action::Sweep);
    }
}

fn of_database(bounds: &Bounds, state: &State, actions: &mut Vec<Action>) {
    if state.restarts < bounds.restarts && !state.does_refuse {
        actions.push(Action::RestartIssuer);
    }
    if state.went_back {
        actions.push(Action::Recover);
    } else if state.steps_back < bounds.steps_back {
        let entries = narrow(state.database.log.entries.len());
        // One that is stale needn't be known.
        let known = |&verifier: &usize| state.verifiers[verifier].is_fresh;
        let known: u8 = (0..state.verifiers.len()).filter(known).map(|verifier| 1 << verifier).sum();
        let refresh = [false, true];
        // A recovery is one transaction. A step back over all of it isn't part of the search.
        let recovery = if state.database.log.id == 0 { 0 } else { 1 + u8::from(bounds.has_keys_and_clocks) };
        for keeps in state.database.log.swept.max(recovery)..=entries {
            for loses_refresh in refresh.into_iter().filter(|&lost| !lost || state.database.generation > 0) {
                if keeps == entries && !loses_refresh {
                    continue;
                }
                for with_mark in [false, true] {
                    let step = StepBack { keeps, loses_refresh, is_running: true, with_mark, forgets: 0 };
                    actions.push(Action::StepBack(step));
                    let forgets = (0..1 << state.verifiers.len()).filter(|forgets| forgets & !known == 0);
                    actions
                        .extend(forgets.map(|forgets| {
                            Action::StepBack(StepBack { is_running: false, forgets, ..step })
                        }));
                }
            }
        }
    }
}

fn of_rotation(state: &State, actions: &mut Vec<Action>) {
    match state.database.next_key {
        NextKey::None => actions.push(Action::Publish),
        NextKey::Published { .. } => {
            actions.push(Action::Sign);
            let lacks = |&verifier: &usize| !state.verifiers[verifier].has_next_key;
            actions.extend((0..state.verifiers.len()).filter(lacks).map(Action::Fetch));
        }
        NextKey::Signs => {}
    }
}

fn of_verifier(bounds: &Bounds, variant: Variant, state: &State, at: usize, actions: &mut Vec<Action>) {
    let verifier = &state.verifiers[at];
    if state.restarts < bounds.restarts {
        actions.push(Action::RestartVerifier { verifier: at, has_bundle: false });
        if verifier.position.is_some() {
            actions.push(Action::RestartVerifier { verifier: at, has_bundle: true });
        }
    }
    if verifier.ack.is_some() && !state.does_refuse {
        actions.push(Action::TakeAck(at));
    }
    if !verifier.is_streaming {
        if !state.does_refuse {
            actions.push(Action::Connect(at));
        }
        return;
    }
    // One nonce is open at a time.
    let answers = |message: &Message| matches!(message, Message::Heartbeat { .. });
    if !state.does_refuse && verifier.ack.is_none() && !verifier.coming.iter().any(answers) {
        actions.push(Action::Acknowledge(at));
        if state.late_acks < bounds.late_acks {
            actions.push(Action::AcknowledgeLate(at));
        }
    }
    if let Some(next) = verifier.coming.first() {
        actions.push(Action::Deliver(at));
        if state.losses < bounds.losses && !answers(next) {
            actions.push(Action::Lose(at));
        }
    }
    if variant == Variant::AnswersFirst && verifier.sent < state.log().head_number() {
        actions.push(Action::Send(at));
    }
    let acks = if verifier.ack.is_some() { &[false, true][..] } else { &[false] };
    let notices = if counts_connections(bounds, variant) { &[false, true][..] } else { &[false] };
    for &keeps_ack in acks {
        for &is_noticed in notices {
            actions.push(Action::Cut { verifier: at, keeps_ack, is_noticed });
        }
    }
}

/// Whether it matters who is connected.
pub(crate) fn counts_connections(bounds: &Bounds, variant: Variant) -> bool {
    bounds.rotation.is_some() || variant == Variant::ForgetsTheLost
}

/// The number of the next token.
pub(crate) fn next_token(made: &[Target]) -> u8 {
    let numbers = made.iter().map(|target| match target {
        Target::Token(token) => token + 1,
        Target::EverythingBefore { token, .. } => *token,
        Target::TokenOfTheFuture | Target::Key => 0,
    });
    numbers.max().unwrap_or(0)
}

/// A token whose revocation was lost, and which may be revoked once more.
fn lost_token(state: &State) -> Option<u8> {
    let token = |(id, target): (usize, &Target)| match target {
        Target::Token(token) if state.lost_unseen & (1 << id) != 0 => Some(*token),
        _ => None,
    };
    let is_lost = |token: &u8| {
        !state.database.log.entries.iter().any(|&id| state.made[usize::from(id)] == Target::Token(*token))
    };
    state.made.iter().enumerate().filter_map(token).find(is_lost)
}
