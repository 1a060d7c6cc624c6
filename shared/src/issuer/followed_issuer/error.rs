//! The error of a followed issuer that can't be set up.

use crate::issuer::ClientError;
#[cfg(feature = "watch")]
use crate::issuer::introspection::InvalidConfig;

/// An issuer can't be followed with these settings. It is exhaustive, so that a program can name the setting at fault.
#[derive(thiserror::Error)]
pub enum FollowError {
    /// The issuer's keys can't be fetched.
    #[error("the issuer's keys can't be fetched: {0}")]
    Keys(#[from] ClientError),
    /// The issuer's stream can't be opened.
    #[cfg(feature = "watch")]
    #[error("the issuer's stream can't be opened: {0}")]
    Stream(#[from] InvalidConfig),
}

crate::sentence::debug_is_sentence!(FollowError);
