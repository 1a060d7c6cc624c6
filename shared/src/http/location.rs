//! Where a token may be in a request: the `Authorization` header (RFC 6750 §2.1) and, when switched on, a cookie, the
//! query (§2.3) or the JSON body.

use std::str::FromStr;

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{ErrorAnswer, Refusal};
use crate::token::json::Strict;

/// The names that the access cookie goes by: bound to one host, or to a domain.
pub const ACCESS_COOKIES: [&str; 2] = ["__Host-access_token", "__Secure-access_token"];

/// The parameter of the query, and the member of a JSON body.
pub const PARAMETER: &str = "access_token";

/// Where a token may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// `Authorization: Bearer …`
    Header,
    /// The cookie that a login with `"delivery":"cookie"` sets.
    Cookie,
    /// `?access_token=…`
    Query,
    /// The member `access_token` of a JSON body; needs [`json_body`] as a layer.
    Json,
}

/// No location has that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is none of header, cookie, query and json")]
pub struct UnknownLocation;

impl FromStr for Location {
    type Err = UnknownLocation;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "header" => Ok(Self::Header),
            "cookie" => Ok(Self::Cookie),
            "query" => Ok(Self::Query),
            "json" => Ok(Self::Json),
            _ => Err(UnknownLocation),
        }
    }
}

/// A token, not verified yet, and where it was.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) token: String,
    pub(super) location: Location,
}

/// The token that [`json_body`] took out of a body.
#[derive(Clone)]
struct TokenOfBody(String);

/// The one token of a request; `None` when it has none in any of `locations`.
///
/// Tokens in two of header, query and body are refused (RFC 6750 §2); a cookie, which browsers send unasked, counts only
/// when no other location holds one.
pub(super) fn find(parts: &Parts, locations: &[Location]) -> Result<Option<Found>, Refusal> {
    let mut found: Option<Found> = None;
    for &location in locations.iter().filter(|&&location| location != Location::Cookie) {
        let token = match location {
            Location::Header => in_header(&parts.headers)?,
            Location::Query => in_query(parts.uri.query().unwrap_or_default())?,
            Location::Json => parts.extensions.get::<TokenOfBody>().map(|token| token.0.clone()),
            Location::Cookie => None,
        };
        let Some(token) = token else { continue };
        if found.is_some() {
            return Err(Refusal::SeveralTokens);
        }
        found = Some(Found { token, location });
    }
    if found.is_none() && locations.contains(&Location::Cookie) {
        found = cookie(&parts.headers, &ACCESS_COOKIES)
            .map(|token| Found { token: token.to_owned(), location: Location::Cookie });
    }
    Ok(found)
}

/// The token of `Authorization: Bearer …`; `None` when the header is absent or of another scheme. The scheme is
/// compared without regard to case (RFC 9110 §11.1).
///
/// # Errors
/// [`Refusal::SeveralTokens`] when there are two such headers.
pub fn in_header(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::SeveralTokens);
    }
    let value = String::from_utf8_lossy(value.as_bytes());
    let (scheme, token) = value.split_once(' ').unwrap_or((&value, ""));
    Ok(scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' ').to_owned()))
}

fn in_query(query: &str) -> Result<Option<String>, Refusal> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == PARAMETER);
    let token = values.next().map(|(_, value)| value.into_owned());
    if values.next().is_some() { Err(Refusal::SeveralTokens) } else { Ok(token) }
}

/// The value of the first cookie that has one of `names`; names come in the order of preference.
#[must_use]
pub fn cookie<'h>(headers: &'h HeaderMap, names: &[&str]) -> Option<&'h str> {
    let pairs = || {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
    };
    names.iter().find_map(|wanted| pairs().find(|(name, _)| name == wanted).map(|(_, value)| value))
}

/// A layer that takes the member `access_token` out of a JSON body of at most `limit` bytes, for routes where
/// [`Location::Json`] is switched on; use it with axum's `from_fn_with_state`. The handler sees the body without it.
pub async fn json_body(State(limit): State<usize>, request: Request, next: Next) -> Response {
    let is_json = request.headers().get(header::CONTENT_TYPE).is_some_and(is_json);
    if !is_json {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, limit).await else {
        return ErrorAnswer::payload_too_large().into_response();
    };
    // What is no object, or has a member twice, is not for us to judge: the handler says what is wrong with its body, and
    // no token was found in it.
    let body = match serde_json::from_slice(&bytes) {
        Ok(Strict(Value::Object(mut members))) => match members.remove(PARAMETER) {
            Some(Value::String(token)) => {
                parts.extensions.insert(TokenOfBody(token));
                parts.headers.remove(header::CONTENT_LENGTH);
                Body::from(Value::Object(members).to_string())
            }
            Some(_) | None => Body::from(bytes),
        },
        Ok(_) | Err(_) => Body::from(bytes),
    };
    next.run(Request::from_parts(parts, body)).await
}

/// Whether a content type is JSON, parameters aside.
#[must_use]
pub fn is_json(content_type: &HeaderValue) -> bool {
    content_type.to_str().is_ok_and(|value| {
        value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
    })
}
