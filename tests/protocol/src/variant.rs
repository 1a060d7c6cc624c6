//! The parts of the protocol that can be left out. Each is a plan that somebody had, or could have.

/// What is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Nothing.
    Whole,
    /// A position is a log and a number, without a tag.
    WithoutTags,
    /// A tag depends on what entries say, without random bytes.
    TagsOfContent,
    /// The issuer keeps no mark outside of its database.
    WithoutMark,
    /// The mark holds the position alone, and no count of write transactions.
    MarkOfPositionAlone,
    /// A running process never compares its log with the database.
    TrustsItsMemory,
    /// A watcher's claim counts without a proof.
    WithoutProofs,
    /// A proof of a log that was given up counts as evidence.
    ForgetsGivenUpLogs,
    /// A swept entry takes its tag with it.
    SweepsTags,
    /// A recovery doesn't revoke the signing keys.
    RecoversWithoutKeys,
    /// A recovery revokes what was minted before by its own clock alone.
    RecoversByItsClock,
    /// A barrier is complete right after a recovery.
    RecoversWithoutPause,
    /// A verifier replaces what it knows by a snapshot.
    SnapshotReplaces,
    /// A verifier refuses a snapshot with a lower number, and goes on.
    RefusesLowerSnapshots,
    /// A verifier takes an entry whose predecessor it lacks.
    SkipsGaps,
    /// A heartbeat answers a nonce before the entries that were written before it came.
    AnswersFirst,
    /// A verifier counts its age from when the answer came.
    CountsFromTheAnswer,
    /// An acknowledgement counts by its number, whatever the log.
    AcknowledgesNumbers,
    /// A watcher whose connection is lost no longer counts.
    ForgetsTheLost,
    /// The issuer keeps who watches in memory alone.
    KeepsWatchersInMemory,
    /// A watcher that is silent counts as stale, whatever its policy.
    CountsSilenceOfAll,
    /// A next key signs without waiting for who watches.
    RotatesAtOnce,
    /// A next key of another algorithm waits for those that are connected alone.
    WaitsForTheConnected,
}
