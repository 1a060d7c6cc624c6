//! The error of a hash that can't be used.

/// The text is not a hash of a known form, or checking it would cost too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no password hash of a known form, or one too costly to check")]
pub struct InvalidHash;
