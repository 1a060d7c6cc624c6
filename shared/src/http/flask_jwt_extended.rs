//! [`FlaskJwtExtended`]: the statuses, bodies and token locations of Flask-JWT-Extended 4.7, so that clients need no change. A
//! 500 there is a 422 here. Texts of its JWT library are those of `PyJWT` 2.10.

use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};

use super::{
    Context, ErrorAnswer, Location, Locations, Render,
    find::{Absence, Kind, look},
    location::{Csrf, Lookup, is_any_json},
};
use crate::verify::{AuthError, Part, TokenError};

/// Answers refused requests as Flask-JWT-Extended does.
#[derive(Clone, Debug)]
pub struct FlaskJwtExtended {
    message_key: String,
}

impl Default for FlaskJwtExtended {
    /// The message is the member `msg`.
    fn default() -> Self {
        Self { message_key: "msg".into() }
    }
}

impl FlaskJwtExtended {
    /// The message is the member `key` of the body: `JWT_ERROR_MESSAGE_KEY`.
    #[must_use]
    pub fn with_message_key(key: &str) -> Self {
        Self { message_key: key.into() }
    }
}

impl Locations {
    /// Those, in that order, by the names that Flask-JWT-Extended uses; the first that holds a token decides.
    #[must_use]
    pub fn flask_jwt_extended(order: impl Into<Vec<Location>>) -> Self {
        Self::of(order)
            .with_lookup(Lookup::FirstFound)
            .with_cookies(&["access_token_cookie"])
            .with_query("jwt")
            .with_csrf(Csrf::default().at([Method::POST, Method::PUT, Method::PATCH, Method::DELETE]))
    }
}

impl Render for FlaskJwtExtended {
    fn render(&self, error: &AuthError, context: &Context<'_>) -> Response {
        let (status, text) = answer(error, context);
        let body = Map::from_iter([(self.message_key.clone(), Value::String(text))]);
        let mut response = (status, Json(body)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

fn answer(error: &AuthError, context: &Context<'_>) -> (StatusCode, String) {
    let Context { parts, locations, claims, .. } = context;
    let (status, text) = match error {
        AuthError::MissingToken => return (StatusCode::UNAUTHORIZED, missing(parts, locations)),
        AuthError::NotAToken(location) => {
            return (StatusCode::UNPROCESSABLE_ENTITY, malformed(*location, locations));
        }
        AuthError::Token(error) => return token_error(*error),
        AuthError::SeveralTokens => (StatusCode::UNPROCESSABLE_ENTITY, "More than one token"),
        AuthError::RefreshTokenRequired => {
            (StatusCode::UNPROCESSABLE_ENTITY, "Only refresh tokens are allowed")
        }
        AuthError::NotFresh { .. } => (StatusCode::UNAUTHORIZED, "Fresh token required"),
        AuthError::CsrfMissing => (StatusCode::UNAUTHORIZED, "Missing CSRF token"),
        AuthError::CsrfMismatch => (StatusCode::UNAUTHORIZED, "CSRF double submit tokens do not match"),
        AuthError::CsrfClaimMissing => (StatusCode::UNPROCESSABLE_ENTITY, "Missing claim: csrf"),
        AuthError::Denied(_) => (StatusCode::BAD_REQUEST, "User claims verification failed"),
        AuthError::UnknownUser => {
            let identity = claims.map_or("", |claims| claims.sub.as_str());
            return (StatusCode::UNAUTHORIZED, format!("Error loading the user {identity}"));
        }
        // Flask-JWT-Extended has no such errors.
        AuthError::Scope(_)
        | AuthError::Role(_)
        | AuthError::CsrfOrigin
        | AuthError::NoKeys
        | AuthError::Stale => {
            let answer = ErrorAnswer::of(error, context.realm);
            return (answer.status(), answer.msg().to_owned());
        }
    };
    (status, text.to_owned())
}

/// `PyJWT`'s texts.
fn token_error(error: TokenError) -> (StatusCode, String) {
    let text = match error {
        TokenError::Expired => return (StatusCode::UNAUTHORIZED, "Token has expired".into()),
        TokenError::Revoked => return (StatusCode::UNAUTHORIZED, "Token has been revoked".into()),
        TokenError::RefreshToken => "Only non-refresh tokens are allowed",
        TokenError::TooLong | TokenError::Segments => "Not enough segments",
        TokenError::Encoding(Part::Header) => "Invalid header padding",
        TokenError::Encoding(Part::Payload) => "Invalid payload padding",
        TokenError::Encoding(Part::Signature) => "Invalid crypto padding",
        TokenError::Json(Part::Header) => "Invalid header string",
        TokenError::Json(Part::Payload | Part::Signature) => "Invalid payload string",
        TokenError::Algorithm => "The specified alg value is not allowed",
        TokenError::Critical => "Unsupported critical extension",
        TokenError::Type => "Invalid token type",
        TokenError::UnknownKey | TokenError::Signature => "Signature verification failed",
        TokenError::Absent(claim @ ("aud" | "iss")) => {
            return (StatusCode::UNPROCESSABLE_ENTITY, format!("Token is missing the \"{claim}\" claim"));
        }
        TokenError::Absent(claim) => {
            return (StatusCode::UNPROCESSABLE_ENTITY, format!("Missing claim: {claim}"));
        }
        TokenError::Issuer => "Invalid issuer",
        TokenError::Audience => "Audience doesn't match",
        TokenError::NotYetValid => "The token is not yet valid (nbf)",
    };
    (StatusCode::UNPROCESSABLE_ENTITY, text.to_owned())
}

/// Where there is no token, place by place.
fn missing(parts: &Parts, locations: &Locations) -> String {
    let absences: Vec<_> =
        locations.order.iter().map(|&location| absence(parts, locations, location)).collect();
    let names: Vec<_> = locations.order.iter().map(|&location| name(location)).collect();
    match (names.as_slice(), absences.as_slice()) {
        (_, [one]) => one.clone(),
        ([others @ .., last], _) => {
            format!("Missing JWT in {} or {last} ({})", others.join(", "), absences.join("; "))
        }
        ([], _) => "Missing JWT".to_owned(),
    }
}

fn name(location: Location) -> &'static str {
    match location {
        Location::Header => "headers",
        Location::Cookie => "cookies",
        Location::Query => "query_string",
        Location::Json => "json",
        Location::Form => "form",
    }
}

fn absence(parts: &Parts, locations: &Locations, location: Location) -> String {
    let header = title(locations.header.as_str());
    match location {
        Location::Header => match look(parts, locations, Kind::Access, location) {
            Ok(Err(Absence::OtherScheme)) => {
                let scheme = &locations.scheme;
                format!("Missing '{scheme}' type in '{header}' header. Expected '{header}: {scheme} <JWT>'")
            }
            Ok(_) | Err(_) => format!("Missing {header} Header"),
        },
        Location::Cookie => {
            format!("Missing cookie \"{}\"", locations.cookies.first().map_or("", |name| name))
        }
        Location::Query => format!("Missing '{}' query paramater", locations.query),
        Location::Json if !parts.headers.get(CONTENT_TYPE).is_some_and(is_any_json) => {
            "Invalid content-type. Must be application/json.".to_owned()
        }
        Location::Json => format!("Missing \"{}\" key in json data.", locations.member),
        Location::Form => format!("Missing \"{}\" field in form data.", locations.member),
    }
}

fn malformed(location: Location, locations: &Locations) -> String {
    let header = title(locations.header.as_str());
    match location {
        Location::Header if locations.scheme.is_empty() => {
            format!("Bad {header} header. Expected '{header}: <JWT>'")
        }
        Location::Header => {
            format!("Bad {header} header. Expected '{header}: {} <JWT>'", locations.scheme)
        }
        Location::Query => format!(
            "Invalid value for query parameter '{}'. Expected the value to start with '{}'",
            locations.query, locations.query_prefix
        ),
        Location::Cookie | Location::Json | Location::Form => "Invalid token type".to_owned(),
    }
}

/// A header's name as it is written: each word with a capital.
fn title(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}
