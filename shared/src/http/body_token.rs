//! [`BodyTokens`]: a layer that takes tokens out of bodies, for routes that use [`Location::Json`] or [`Location::Form`]. The
//! handler gets the body without them. For [`Location::Query`] it keeps answers out of shared caches.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{header, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tower::Layer;

use super::{
    ErrorAnswer, Guard, Location, Locations,
    filter::{Filter, Filtered, Passed},
    find::{self, Found, Kind},
    from_body::{FromBody, Taken},
    location::{is_any_json, is_form},
};
use crate::verify::json::Strict;

/// A layer that takes tokens out of JSON bodies and forms, where a [`Guard`] looks for them, and keeps answers to a token in
/// the query out of shared caches. An extractor can't do either. Routes behind [`RequireToken`](super::RequireToken) and
/// [`ClosedRouter`](super::ClosedRouter) have this layer already.
#[derive(Clone, Debug)]
pub struct BodyTokens {
    guard: Guard,
    limit: usize,
}

impl BodyTokens {
    /// Takes out the tokens that `guard` looks for. A body of more than `limit` bytes is answered with 413.
    #[must_use]
    pub fn new(guard: Guard, limit: usize) -> Self {
        Self { guard, limit }
    }
}

impl<S> Layer<S> for BodyTokens {
    type Service = Filtered<S, Self>;

    fn layer(&self, inner: S) -> Filtered<S, Self> {
        Filtered::new(inner, self.clone())
    }
}

impl Filter for BodyTokens {
    async fn pass(&self, request: Request) -> Result<Passed, Response> {
        let locations = self.guard.locations();
        let taken = take(request, locations, self.limit).await.map_err(IntoResponse::into_response)?;
        let (parts, body) = taken.into_parts();
        let is_in_query = locations.has(Location::Query)
            && parts.uri.query().is_some()
            && matches!(
                find::find(&parts, locations, Kind::Access),
                Ok(Some(Found { location: Location::Query, .. }))
            );
        Ok(Passed { request: Request::from_parts(parts, body), is_in_query })
    }
}

/// Moves the tokens of the body to the extensions of the request, where [`find`](super::find) looks.
pub(super) async fn take(
    request: Request,
    locations: &Locations,
    limit: usize,
) -> Result<Request, ErrorAnswer> {
    let (mut parts, body) = request.into_parts();
    let Some(location) = location_of_body(&parts, locations) else {
        return Ok(Request::from_parts(parts, body));
    };
    let bytes = to_bytes(body, limit).await.map_err(|_| ErrorAnswer::payload_too_large())?;
    let (taken, rest) = match location {
        Location::Form => of_form(&bytes, locations),
        _ => of_json(&bytes, locations),
    };
    parts.extensions.insert(taken);
    let body = match rest {
        Some(rest) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            Body::from(rest)
        }
        None => Body::from(bytes),
    };
    Ok(Request::from_parts(parts, body))
}

/// The location of tokens in this body; `None` when no token is looked for there, or the tokens were taken before.
fn location_of_body(parts: &Parts, locations: &Locations) -> Option<Location> {
    let content_type = parts.headers.get(header::CONTENT_TYPE)?;
    if parts.extensions.get::<FromBody>().is_some() {
        return None;
    }
    if is_any_json(content_type) && locations.has(Location::Json) {
        return Some(Location::Json);
    }
    let in_form = locations.has(Location::Form) || locations.csrf_field().is_some();
    // RFC 6750 §2.2: only at methods whose body means something.
    (in_form && is_form(content_type) && !parts.method.is_safe()).then_some(Location::Form)
}

/// A body that is no object, or has a member twice, holds no token. The handler then answers what is wrong with it.
fn of_json(bytes: &[u8], locations: &Locations) -> (FromBody, Option<String>) {
    let mut taken = FromBody { location: Location::Json, access: None, refresh: None, csrf: None };
    let Ok(Strict(Value::Object(mut members))) = serde_json::from_slice(bytes) else { return (taken, None) };
    let mut take = |name: &str| match members.remove(name)? {
        Value::Null => None,
        Value::String(token) if token.is_empty() => None,
        Value::String(token) => Some(Taken::Text(token)),
        _ => Some(Taken::NotText),
    };
    taken.access = take(&locations.member);
    taken.refresh = take(&locations.refresh_member);
    let has_text = [&taken.access, &taken.refresh].iter().any(|token| matches!(token, Some(Taken::Text(_))));
    (taken, has_text.then(|| Value::Object(members).to_string()))
}

fn of_form(bytes: &[u8], locations: &Locations) -> (FromBody, Option<String>) {
    let mut taken = FromBody { location: Location::Form, access: None, refresh: None, csrf: None };
    let mut rest = form_urlencoded::Serializer::new(String::new());
    let is_token_here = locations.has(Location::Form);
    for (name, value) in form_urlencoded::parse(bytes) {
        let slot = match &*name {
            name if is_token_here && *name == *locations.member => &mut taken.access,
            name if is_token_here && *name == *locations.refresh_member => &mut taken.refresh,
            name if locations.csrf_field() == Some(name) => {
                taken.csrf = Some(value.into_owned());
                continue;
            }
            _ => {
                rest.append_pair(&name, &value);
                continue;
            }
        };
        *slot = Some(if slot.is_some() { Taken::Twice } else { Taken::Text(value.into_owned()) });
    }
    (taken, Some(rest.finish()))
}
