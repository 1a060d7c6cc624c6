//! What may happen in a search, and how often. Whatever is not counted here may happen any number of times: delays, lost
//! connections, prompt acknowledgements, time that passes, and forged positions.

/// The bounds of a search.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The policy of each verifier.
    pub verifiers: Vec<Policy>,
    /// Number of revocations.
    pub entries: u8,
    /// Number of restarts, of the issuer and of verifiers together.
    pub restarts: u8,
    /// Number of times that the database goes back.
    pub steps_back: u8,
    /// Number of refreshes of the one session.
    pub refreshes: u8,
    /// Number of entries that are swept because their tokens have expired.
    pub sweeps: u8,
    /// Number of entries that may be lost between the issuer and a verifier while their stream goes on.
    pub losses: u8,
    /// Number of acknowledgements that take their time, or arrive when their stream is over.
    pub late_acks: u8,
    /// Whether what a lost entry revoked may be revoked once more.
    pub repeats: bool,
    /// Whether a revocation may be of a signing key, or of a token that a clock an hour ahead has minted.
    pub has_keys_and_clocks: bool,
    /// The rotation of the signing key, if there is one.
    pub rotation: Option<Rotation>,
}

/// What a verifier does when it is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It refuses every token.
    Deny,
    /// It accepts tokens as before.
    Allow,
}

/// The next signing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Of the algorithm in use.
    SameAlgorithm,
    /// Of another algorithm.
    OtherAlgorithm,
}

impl Bounds {
    /// Two verifiers that refuse when they are stale, and nothing that is counted.
    #[must_use]
    pub fn none() -> Self {
        Self {
            verifiers: vec![Policy::Deny; 2],
            entries: 0,
            restarts: 0,
            steps_back: 0,
            refreshes: 0,
            sweeps: 0,
            losses: 0,
            late_acks: 0,
            repeats: false,
            has_keys_and_clocks: false,
            rotation: None,
        }
    }
}
