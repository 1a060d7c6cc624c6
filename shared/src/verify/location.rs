//! [`Location`]: the places of an HTTP request that can hold a token.

use std::{fmt, str::FromStr};

/// A place in an HTTP request that can hold a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(not(feature = "http"), expect(unnameable_types, reason = "its path is `http::Location`"))]
#[non_exhaustive]
pub enum Location {
    /// `Authorization: Bearer …` (RFC 6750 §2.1).
    Header,
    /// The cookie that a login with `"delivery":"cookie"` sets.
    Cookie,
    /// `?access_token=…` (RFC 6750 §2.3), which logs and histories keep. `RequireToken`, `ClosedRouter` and, around
    /// extractors alone, `BodyTokens` add `Cache-Control: private` to successful answers, unless the route says `no-store`,
    /// `private` or `public` itself.
    Query,
    /// The member `access_token` of a JSON body; needs the layer `BodyTokens`.
    Json,
    /// The field `access_token` of a form (RFC 6750 §2.2); needs the layer `BodyTokens`.
    Form,
}

/// No location has that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is none of header, cookie, query, json and form")]
#[cfg_attr(not(feature = "http"), expect(unnameable_types, reason = "its path is `http::UnknownLocation`"))]
pub struct UnknownLocation;

impl FromStr for Location {
    type Err = UnknownLocation;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "header" => Ok(Self::Header),
            "cookie" => Ok(Self::Cookie),
            "query" => Ok(Self::Query),
            "json" => Ok(Self::Json),
            "form" => Ok(Self::Form),
            _ => Err(UnknownLocation),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Cookie => "cookie",
            Self::Query => "query",
            Self::Json => "json",
            Self::Form => "form",
        })
    }
}
