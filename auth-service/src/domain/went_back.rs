//! The database went back: it lacks writes that were answered.

use countermark::verify::LogId;

/// The database lacks writes that were answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the database has lost writes: {reason}; stop the service and run `auth-service recover`")]
pub struct WentBack {
    /// How that is known: a sentence without its end.
    pub reason: String,
    /// The log that shows it, when the database doesn't know that log. A recovery gives it up, too.
    pub log_id: Option<LogId>,
}
