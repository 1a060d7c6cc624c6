//! Leaves out one part of the protocol after the other. The search finds what breaks without it.

use protocol_model::{Bounds, Policy, Protocol, Rotation, Variant, laws};
use stateright::{Checker as _, HasDiscoveries, Model as _};

/// For each part that can be left out: bounds within which that breaks a law, and the law.
fn variants() -> Vec<(Variant, Bounds, &'static str)> {
    use Variant::*;
    let none = Bounds::none;
    let back = || Bounds { entries: 2, steps_back: 1, ..none() };
    let session = || Bounds { entries: 1, steps_back: 1, refreshes: 1, ..none() };
    let rotation = |rotation| Bounds { rotation: Some(rotation), ..none() };
    let with_allow = || Bounds { verifiers: vec![Policy::Deny, Policy::Allow], entries: 1, ..none() };
    vec![
        (WithoutTags, back(), laws::WITNESS),
        (TagsOfContent, Bounds { repeats: true, ..back() }, laws::WITNESS),
        (WithoutMark, session(), laws::SPENT),
        (MarkOfPositionAlone, session(), laws::SPENT),
        (TrustsItsMemory, back(), laws::BOUND),
        (WithoutProofs, Bounds { entries: 1, ..none() }, laws::FALSE_ALARM),
        (ForgetsGivenUpLogs, back(), laws::FALSE_ALARM),
        (SweepsTags, Bounds { entries: 1, sweeps: 1, ..none() }, laws::FALSE_ALARM),
        (RecoversWithoutKeys, Bounds { has_keys_and_clocks: true, ..back() }, laws::BOUND),
        (RecoversByItsClock, Bounds { has_keys_and_clocks: true, ..back() }, laws::BOUND),
        (RecoversWithoutPause, back(), laws::BARRIER),
        (SnapshotReplaces, back(), laws::REFUSED),
        (RefusesLowerSnapshots, back(), laws::ANOTHER_LOG),
        (SkipsGaps, Bounds { entries: 2, losses: 1, ..none() }, laws::ANOTHER_LOG),
        (AnswersFirst, Bounds { entries: 1, ..none() }, laws::BOUND),
        (CountsFromTheAnswer, Bounds { entries: 1, ..none() }, laws::BOUND),
        (AcknowledgesNumbers, Bounds { steps_back: 1, ..with_allow() }, laws::BARRIER),
        (ForgetsTheLost, Bounds { entries: 1, ..none() }, laws::BARRIER),
        (KeepsWatchersInMemory, Bounds { entries: 1, restarts: 1, ..none() }, laws::BARRIER),
        (CountsSilenceOfAll, with_allow(), laws::BARRIER),
        (RotatesAtOnce, rotation(Rotation::SameAlgorithm), laws::GATE),
        (WaitsForTheConnected, rotation(Rotation::OtherAlgorithm), laws::GATE),
    ]
}

#[test]
fn each_part_is_needed() {
    let mut needless = Vec::new();
    for (variant, bounds, law) in variants() {
        let protocol = Protocol { bounds, variant, is_folded: false };
        let first = HasDiscoveries::AnyOf([law].into());
        let search = protocol.checker().finish_when(first).spawn_bfs().join();
        let Some(history) = search.discovery(law) else {
            needless.push(variant);
            continue;
        };
        println!("{variant:?} breaks \"{law}\":");
        for action in history.into_actions() {
            println!("    {action:?}");
        }
    }
    assert!(needless.is_empty(), "without these nothing breaks: {needless:?}");
}
