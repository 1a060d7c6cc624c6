//! `application/x-www-form-urlencoded` bodies (RFC 6749 appendix B), read strictly: a parameter that comes twice is
//! refused, one without a value was not sent, and what an endpoint does not know is read past.

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use shared::http::{ErrorAnswer, body::MAX_BYTES};
use zeroize::Zeroizing;

use super::error::OAuthError;

/// The parameters that may come more than once: RFC 8707 §2, RFC 8693 §2.1.
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// The parameters of a request, with the headers that it came with.
pub struct Form {
    /// Its headers.
    pub headers: HeaderMap,
    parameters: Vec<(String, Zeroizing<String>)>,
}

impl Form {
    /// The value of a parameter that comes at most once.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a parameter.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.parameters.iter().filter(move |(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that has to be there.
    ///
    /// # Errors
    /// 400 `invalid_request` when it isn't.
    pub fn required(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.one(name).ok_or_else(|| OAuthError::invalid_request(format!("The parameter {name} is missing")))
    }

    fn parse(headers: HeaderMap, body: &[u8]) -> Result<Self, OAuthError> {
        let mut parameters: Vec<(String, Zeroizing<String>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(body) {
            let value = Zeroizing::new(value.into_owned());
            if value.is_empty() {
                continue;
            }
            if !REPEATABLE.contains(&&*name) && parameters.iter().any(|(held, _)| *held == name) {
                let known =
                    name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                let name = if known { &*name } else { "A parameter" };
                return Err(OAuthError::invalid_request(format!("{name} comes more than once")));
            }
            parameters.push((name.into_owned(), value));
        }
        Ok(Self { headers, parameters })
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = OAuthError;

    async fn from_request(request: Request, _: &S) -> Result<Self, OAuthError> {
        let (parts, body) = request.into_parts();
        let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
        if !essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(OAuthError::invalid_request("The body must be application/x-www-form-urlencoded"));
        }
        let body = to_bytes(body, MAX_BYTES).await.map_err(|_| ErrorAnswer::payload_too_large())?;
        Self::parse(parts.headers, &body)
    }
}
