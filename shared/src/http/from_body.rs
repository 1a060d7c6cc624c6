//! The tokens that were taken out of a body.

use super::Location;

/// The tokens and the CSRF value of a body.
#[derive(Clone, Debug)]
pub(super) struct FromBody {
    pub(super) location: Location,
    pub(super) access: Option<Taken>,
    pub(super) refresh: Option<Taken>,
    pub(super) csrf: Option<String>,
}

/// The value in the place of a token.
#[derive(Clone, Debug)]
pub(super) enum Taken {
    Text(String),
    NotText,
    Twice,
}
