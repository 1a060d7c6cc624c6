//! Finds the one token of a request, at the locations that are switched on.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderValue, header, request::Parts};

use super::{
    Location, Locations,
    cookie::cookies,
    from_body::{FromBody, Taken},
    location::{Lookup, is_any_json, is_form},
};
use crate::verify::AuthError;

/// The kind of token to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Access,
    Refresh,
}

/// An unverified token and its location.
#[derive(Clone, Debug)]
pub(super) struct Found<'p> {
    pub(super) token: Cow<'p, str>,
    pub(super) location: Location,
}

/// Why a location holds no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// The header, the cookie, the parameter, the member or the field is not there, or empty.
    Nothing,
    /// The header has another scheme.
    OtherScheme,
    /// The body is of another type.
    OtherBody,
}

type Looked<'p> = Result<Result<Cow<'p, str>, Absence>, AuthError>;

/// Finds the one token of a request; `None` when no location holds one.
pub(super) fn find<'p>(
    parts: &'p Parts,
    locations: &Locations,
    kind: Kind,
) -> Result<Option<Found<'p>>, AuthError> {
    match locations.lookup {
        Lookup::ExactlyOne => exactly_one(parts, locations, kind),
        Lookup::FirstFound => {
            for &location in &locations.order {
                if let Ok(token) = look(parts, locations, kind, location)? {
                    return Ok(Some(Found { token, location }));
                }
            }
            Ok(None)
        }
    }
}

fn exactly_one<'p>(
    parts: &'p Parts,
    locations: &Locations,
    kind: Kind,
) -> Result<Option<Found<'p>>, AuthError> {
    let mut found: Option<Found<'p>> = None;
    for &location in locations.order.iter().filter(|&&location| location != Location::Cookie) {
        let Ok(token) = look(parts, locations, kind, location)? else { continue };
        if found.is_some() {
            return Err(AuthError::SeveralTokens);
        }
        found = Some(Found { token, location });
    }
    if found.is_none() && locations.has(Location::Cookie) {
        let token = look(parts, locations, kind, Location::Cookie)?;
        found = token.ok().map(|token| Found { token, location: Location::Cookie });
    }
    Ok(found)
}

/// Looks at one location.
pub(super) fn look<'p>(
    parts: &'p Parts,
    locations: &Locations,
    kind: Kind,
    location: Location,
) -> Looked<'p> {
    match location {
        Location::Header if locations.lookup == Lookup::FirstFound => {
            in_header_list(&parts.headers, locations)
        }
        Location::Header => in_one_header(&parts.headers, locations),
        Location::Cookie => Ok(in_cookie(&parts.headers, locations, kind)),
        Location::Query => in_query(parts.uri.query().unwrap_or_default(), locations, kind),
        Location::Json | Location::Form => in_body(parts, locations, kind, location),
    }
}

/// The token of `Authorization: Bearer …`; `None` when the header is absent or of another scheme. The scheme is
/// compared without regard to case (RFC 9110 §11.1).
///
/// # Errors
/// [`AuthError::SeveralTokens`] when there are two such headers.
pub fn bearer_token(headers: &HeaderMap) -> Result<Option<String>, AuthError> {
    Ok(in_one_header(headers, &Locations::default())?.ok().map(Cow::into_owned))
}

fn in_one_header<'p>(headers: &'p HeaderMap, locations: &Locations) -> Looked<'p> {
    let mut values = headers.get_all(&locations.header).iter();
    let Some(value) = values.next() else { return Ok(Err(Absence::Nothing)) };
    if values.next().is_some() {
        return Err(AuthError::SeveralTokens);
    }
    let value = text(value);
    if locations.scheme.is_empty() {
        return Ok(Ok(trimmed(value)));
    }
    let (scheme, rest) = match value.find(' ') {
        Some(end) => (&value[..end], end + 1),
        None => (&*value, value.len()),
    };
    if !scheme.eq_ignore_ascii_case(&locations.scheme) {
        return Ok(Err(Absence::OtherScheme));
    }
    Ok(Ok(trimmed(behind(value, rest))))
}

/// Reads a comma list in any number of headers: one of its items is the scheme and the token.
fn in_header_list<'p>(headers: &'p HeaderMap, locations: &Locations) -> Looked<'p> {
    let items = || headers.get_all(&locations.header).iter().flat_map(|value| items(text(value)));
    if items().next().is_none() {
        return Ok(Err(Absence::Nothing));
    }
    let of_scheme = |item: &Cow<'p, str>| {
        let scheme = item.split_ascii_whitespace().next();
        locations.scheme.is_empty() || scheme.is_some_and(|own| own.eq_ignore_ascii_case(&locations.scheme))
    };
    let mut candidates = items().filter(of_scheme);
    let (Some(item), None) = (candidates.next(), candidates.next()) else {
        return Ok(Err(Absence::OtherScheme));
    };
    let mut words = item.split_ascii_whitespace().skip(usize::from(!locations.scheme.is_empty()));
    match (words.next(), words.next()) {
        (Some(token), None) => Ok(Ok(Cow::Owned(token.to_owned()))),
        _ => Err(AuthError::NotAToken(Location::Header)),
    }
}

/// The items of a comma list that are not empty.
fn items(value: Cow<'_, str>) -> impl Iterator<Item = Cow<'_, str>> {
    let items: Vec<_> = match value {
        Cow::Borrowed(value) => value.split(',').map(Cow::Borrowed).collect(),
        Cow::Owned(value) => value.split(',').map(|item| Cow::Owned(item.to_owned())).collect(),
    };
    items.into_iter().filter(|item| !item.trim().is_empty())
}

fn in_cookie<'p>(headers: &'p HeaderMap, locations: &Locations, kind: Kind) -> Result<Cow<'p, str>, Absence> {
    // Browsers send the refresh cookie only to the issuer's `/refresh`.
    if kind == Kind::Refresh {
        return Err(Absence::Nothing);
    }
    access_cookies(headers, locations).next().map(Cow::Borrowed).ok_or(Absence::Nothing)
}

/// The values of all access cookies, in the order of preference.
pub(super) fn access_cookies<'p>(
    headers: &'p HeaderMap,
    locations: &Locations,
) -> impl Iterator<Item = &'p str> {
    locations.cookies.iter().flat_map(|name| cookies(headers, name))
}

fn in_query<'p>(query: &'p str, locations: &Locations, kind: Kind) -> Looked<'p> {
    // A refresh token lives for weeks, and logs record the query.
    if kind == Kind::Refresh {
        return Ok(Err(Absence::Nothing));
    }
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| **name == *locations.query);
    let Some((_, value)) = values.next() else { return Ok(Err(Absence::Nothing)) };
    if values.next().is_some() && locations.lookup == Lookup::ExactlyOne {
        return Err(AuthError::SeveralTokens);
    }
    if value.is_empty() && locations.lookup == Lookup::FirstFound {
        return Ok(Err(Absence::Nothing));
    }
    if !value.starts_with(&*locations.query_prefix) {
        return Err(AuthError::NotAToken(Location::Query));
    }
    Ok(Ok(behind(value, locations.query_prefix.len())))
}

fn in_body<'p>(parts: &'p Parts, locations: &Locations, kind: Kind, location: Location) -> Looked<'p> {
    let taken = parts.extensions.get::<FromBody>().filter(|taken| taken.location == location);
    let Some(taken) = taken else {
        let of_that_type =
            parts.headers.get(header::CONTENT_TYPE).is_some_and(|content_type| match location {
                Location::Form => is_form(content_type),
                _ => is_any_json(content_type),
            });
        return Ok(Err(if of_that_type { Absence::Nothing } else { Absence::OtherBody }));
    };
    let token = match kind {
        Kind::Access => &taken.access,
        Kind::Refresh => &taken.refresh,
    };
    match token {
        Some(Taken::Text(token)) => Ok(Ok(Cow::Borrowed(token.as_str()))),
        Some(Taken::Twice) => Err(AuthError::SeveralTokens),
        // The handler answers what is wrong with the body; it holds no token.
        Some(Taken::NotText) if locations.lookup == Lookup::ExactlyOne => Ok(Err(Absence::Nothing)),
        Some(Taken::NotText) => Err(AuthError::NotAToken(location)),
        None => Ok(Err(Absence::Nothing)),
    }
}

fn text(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

/// The text from that byte on.
fn behind(text: Cow<'_, str>, start: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[start..]),
        Cow::Owned(mut text) => Cow::Owned(text.split_off(start)),
    }
}

fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(' ')),
        Cow::Owned(text) => Cow::Owned(text.trim_matches(' ').to_owned()),
    }
}
