use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use countermark_proto::auth_v1::{self as wire, entry::Matches};

use super::*;
use crate::{
    clock::Timestamp,
    issuer::KeySource,
    verify::{Freshness, KeySet, RevocationSet, Revocations},
};

/// A clock that a test moves, in seconds.
#[derive(Debug, Default)]
struct Seconds(AtomicU64);

impl Clock for Seconds {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// No keys, and which were asked for.
#[derive(Debug, Default)]
struct RecordedKeys(Mutex<Vec<String>>);

impl KeySource for RecordedKeys {
    fn held(&self) -> Option<Arc<KeySet>> {
        None
    }

    fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
        Box::pin(std::future::ready(None))
    }

    fn fetch_version<'a>(&'a self, version: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.0.lock().unwrap().push(version.to_owned());
        Box::pin(std::future::ready(()))
    }
}

struct Test {
    reading: Reading,
    clock: Arc<Seconds>,
    keys: Arc<RecordedKeys>,
}

/// A verifier that has taken in an empty snapshot of the log 1.
fn current() -> Test {
    let (clock, keys) = (Arc::new(Seconds::default()), Arc::new(RecordedKeys::default()));
    let followed = Followed {
        revocations: Arc::new(Revocations::default()),
        freshness: Arc::new(Freshness::default()),
        keys: Arc::clone(&keys) as _,
    };
    let mut test = Test { reading: Reading::new(followed, Arc::clone(&clock) as _), clock, keys };
    assert_eq!(test.snapshot(1, 0, &[], true), Ok(()));
    test
}

impl Test {
    fn at(&self, seconds: u64) {
        self.clock.0.store(seconds, Ordering::Relaxed);
    }

    fn read(&mut self, said: Said) -> Result<(), Broken> {
        self.reading.read(WatchResponse { response: Some(said) })
    }

    fn snapshot(&mut self, log: u8, seq: u64, sids: &[&str], last: bool) -> Result<(), Broken> {
        let entries = sids.iter().map(|sid| entry(sid)).collect();
        self.read(Said::Snapshot(Snapshot { log_id: vec![log; 16], seq, entries, last, tag: tag(seq) }))
    }

    fn delta(&mut self, prev_seq: u64, seq: u64, sid: &str) -> Result<(), Broken> {
        self.read(Said::Delta(Delta { prev_seq, seq, entry: Some(entry(sid)), tag: tag(seq) }))
    }

    fn heartbeat(&mut self, head_seq: u64, nonce: u64) -> Result<(), Broken> {
        self.read(Said::Heartbeat(Heartbeat { head_seq, nonce: Some(nonce), ..Heartbeat::default() }))
    }

    /// A heartbeat that says its log and tag.
    fn heartbeat_of(&mut self, log: u8, head_seq: u64, tag: Vec<u8>, nonce: u64) -> Result<(), Broken> {
        let (log_id, proof) = (vec![log; 16], vec![5; 32]);
        let nonce = Some(nonce);
        self.read(Said::Heartbeat(Heartbeat { head_seq, log_id, tag, proof, nonce, ..Heartbeat::default() }))
    }

    /// The nonce of a question that is sent now.
    fn ask(&mut self) -> u64 {
        match self.reading.ack().request {
            Some(Say::Ack(ack)) => ack.nonce,
            other => panic!("{other:?}"),
        }
    }

    fn heard_ago(&self) -> Option<u64> {
        let freshness = &self.reading.followed.freshness;
        freshness.heard_ago(self.clock.monotonic()).map(|ago| ago.as_secs())
    }

    fn seq(&self) -> u64 {
        self.reading.followed.freshness.seq().number()
    }

    fn held(&self) -> usize {
        self.reading.followed.revocations.read(RevocationSet::len)
    }
}

/// The tag of an entry of the one history that most tests tell.
fn tag(seq: u64) -> Vec<u8> {
    vec![u8::try_from(seq).unwrap() + 1; 16]
}

fn entry(sid: &str) -> wire::Entry {
    wire::Entry { matches: Some(Matches::Sid(sid.to_owned())), expires_at: None }
}

#[test]
fn freshness_counts_from_when_the_question_was_sent() {
    let mut test = current();
    test.at(10);
    let nonce = test.ask();
    test.at(14);
    assert_eq!(test.heartbeat(0, nonce), Ok(()));
    assert_eq!(test.heard_ago(), Some(4));
    // The answer to an older question, and the same answer once more, make nobody current.
    test.at(20);
    assert_eq!(test.heartbeat(0, nonce), Ok(()));
    assert_eq!(test.heard_ago(), Some(10));
}

#[test]
fn a_later_answer_answers_the_questions_before_it() {
    let mut test = current();
    let first = test.ask();
    test.at(1);
    let second = test.ask();
    test.at(3);
    assert_eq!(test.heartbeat(0, second), Ok(()));
    assert_eq!(test.heard_ago(), Some(2));
    assert_eq!(test.heartbeat(0, first), Ok(()));
    assert_eq!(test.heard_ago(), Some(2));
}

#[test]
fn an_answer_to_what_was_never_asked_is_none() {
    let mut test = current();
    let nonce = test.ask();
    assert_eq!(test.heartbeat(0, nonce + 1), Ok(()));
    assert_eq!(test.heard_ago(), None);
}

#[test]
fn a_heartbeat_that_is_ahead_of_what_was_applied_is_a_gap_and_no_word() {
    let mut test = current();
    let nonce = test.ask();
    assert_eq!(test.heartbeat(1, nonce), Err(Broken::Gap));
    assert_eq!(test.heard_ago(), None);
}

#[test]
fn an_entry_that_does_not_follow_the_last_one_is_a_gap_and_not_applied() {
    let mut test = current();
    assert_eq!(test.delta(0, 1, "one"), Ok(()));
    assert_eq!(test.delta(2, 3, "three"), Err(Broken::Gap));
    assert_eq!((test.seq(), test.held()), (1, 1));
    assert_eq!(test.delta(0, 1, "one"), Err(Broken::Gap));
    assert_eq!(test.delta(1, 1, "none"), Err(Broken::Malformed));
}

#[test]
fn every_change_is_acknowledged() {
    let mut test = current();
    let acked = |test: &mut Test| match test.reading.ack().request {
        Some(Say::Ack(ack)) => ack.acked_seq,
        other => panic!("{other:?}"),
    };
    assert!(test.reading.owes_ack());
    assert_eq!(acked(&mut test), 0);
    assert!(!test.reading.owes_ack());
    assert_eq!(test.delta(0, 5, "five"), Ok(()));
    assert!(test.reading.owes_ack());
    assert_eq!(acked(&mut test), 5);
}

#[test]
fn a_snapshot_counts_with_its_last_part_and_what_came_before_stays() {
    let mut test = current();
    assert_eq!(test.delta(0, 1, "before"), Ok(()));
    let nonce = test.ask();
    assert_eq!(test.snapshot(2, 7, &["a", "b"], false), Ok(()));
    // Nothing can be said of the new log yet, and no entry can follow.
    assert_eq!(test.heartbeat(7, nonce), Ok(()));
    assert_eq!((test.seq(), test.heard_ago()), (1, None));
    assert_eq!(test.snapshot(2, 7, &["c"], true), Ok(()));
    assert_eq!((test.seq(), test.held()), (7, 4));
    let nonce = test.ask();
    assert_eq!(test.heartbeat(7, nonce), Ok(()));
    assert_eq!(test.heard_ago(), Some(0));
}

#[test]
fn no_entry_comes_between_the_parts_of_a_snapshot() {
    let mut test = current();
    assert_eq!(test.snapshot(1, 7, &["a"], false), Ok(()));
    assert_eq!(test.delta(0, 1, "one"), Err(Broken::Gap));
}

#[test]
fn a_snapshot_of_a_log_that_was_set_back_moves_the_verifier_and_takes_nothing_away() {
    let mut test = current();
    assert_eq!(test.delta(0, 9, "nine"), Ok(()));
    assert_eq!(test.snapshot(1, 8, &["other"], true), Ok(()));
    assert_eq!((test.seq(), test.held()), (8, 2));
    assert_eq!(test.snapshot(2, 1, &[], true), Ok(()));
    assert_eq!((test.seq(), test.held()), (1, 2));
}

#[test]
fn a_heartbeat_of_another_log_or_tag_makes_nobody_current() {
    let mut test = current();
    assert_eq!(test.delta(0, 1, "one"), Ok(()));
    for (log, seq, other) in [(2, 1, tag(1)), (1, 1, tag(7)), (1, 0, tag(0)), (1, 1, Vec::new())] {
        let nonce = test.ask();
        assert_eq!(test.heartbeat_of(log, seq, other, nonce), Err(Broken::OtherLog));
        assert_eq!(test.heard_ago(), None);
    }
    assert_eq!(test.reading.followed.freshness.proven(), None);
    let nonce = test.ask();
    assert_eq!(test.heartbeat_of(1, 1, tag(1), nonce), Ok(()));
    assert_eq!(test.heard_ago(), Some(0));
    let proven = test.reading.followed.freshness.proven().unwrap();
    assert_eq!((proven.position.seq.number(), proven.proof), (1, [5; 32]));
}

#[test]
fn what_is_acknowledged_is_a_position() {
    let mut test = current();
    assert_eq!(test.delta(0, 3, "three"), Ok(()));
    match test.reading.ack().request {
        Some(Say::Ack(ack)) => assert_eq!((ack.log_id, ack.acked_seq, ack.tag), (vec![1; 16], 3, tag(3))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_says_nothing_is_malformed_and_moves_nothing() {
    let mut test = current();
    assert_eq!(test.reading.read(WatchResponse { response: None }), Err(Broken::Malformed));
    let delta = |entry| Said::Delta(Delta { prev_seq: 0, seq: 1, entry, tag: tag(1) });
    assert_eq!(test.read(delta(None)), Err(Broken::Malformed));
    assert_eq!(test.read(delta(Some(wire::Entry::default()))), Err(Broken::Malformed));
    let short = Delta { prev_seq: 0, seq: 1, entry: Some(entry("one")), tag: vec![1; 15] };
    assert_eq!(test.read(Said::Delta(short)), Err(Broken::Malformed));
    assert_eq!(test.seq(), 0);
}

#[tokio::test]
async fn a_key_set_that_is_missing_is_fetched() {
    let mut test = current();
    assert!(test.reading.fetch_missing_keys().is_none());
    let said = Heartbeat { key_set_version: "v2".to_owned(), ..Heartbeat::default() };
    assert_eq!(test.read(Said::Heartbeat(said)), Ok(()));
    test.reading.fetch_missing_keys().expect("a fetch").await;
    assert!(test.reading.fetch_missing_keys().is_none(), "once for each word of it");
    assert_eq!(*test.keys.0.lock().unwrap(), ["v2"]);
}

#[test]
fn an_issuer_that_answers_nothing_fills_no_memory() {
    let mut test = current();
    for _ in 0..10_000 {
        test.ask();
    }
    assert_eq!(test.reading.open.len(), MAX_OPEN);
}
