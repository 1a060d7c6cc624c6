//! [`Shown`]: a token as it was sent, its text and its location.

use std::{borrow::Cow, fmt};

use serde_json::{Map, Value};

use super::Location;
use crate::verify::unverified;

/// A token as it was sent. Its text appears in no output.
#[derive(Clone)]
pub struct Shown {
    text: Box<str>,
    location: Location,
}

impl Shown {
    pub(super) fn new(text: Cow<'_, str>, location: Location) -> Self {
        Self { text: text.into(), location }
    }

    /// Its location.
    #[must_use]
    pub fn location(&self) -> Location {
        self.location
    }

    /// The token itself, to call another service on the user's behalf. Never log it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its JOSE header, decoded again at each call.
    #[must_use]
    pub fn header(&self) -> Map<String, Value> {
        unverified::header(&self.text).unwrap_or_default()
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shown(in the {})", self.location)
    }
}
