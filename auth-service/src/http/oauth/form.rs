//! `application/x-www-form-urlencoded` bodies (RFC 6749 appendix B), read strictly: a parameter that comes twice is
//! refused, one without a value counts as absent, and unknown ones are ignored.

use std::ops::Range;

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, header},
};
use countermark::http::{ErrorAnswer, MAX_BODY_BYTES};

use super::error::OAuthError;

/// The type of the body. Its parameters may hold any bytes.
const TYPE: &[u8] = b"application/x-www-form-urlencoded";

/// The parameters that may come more than once: RFC 8707 §2, RFC 8693 §2.1.
const REPEATABLE: [&str; 2] = ["resource", "audience"];

/// The parameters of a request, with the headers that it came with.
pub struct Form {
    /// Its headers.
    pub headers: HeaderMap,
    /// It is not wiped: the buffer of the connection holds the same, and is not ours.
    body: String,
    parameters: Vec<(Text, Text)>,
}

/// A name or a value. Most of them need no decoding and are not copied.
enum Text {
    Plain(Range<usize>),
    Decoded(String),
}

impl Form {
    /// The value of a parameter that comes at most once.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a parameter.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let of_that_name = move |(held, _): &&(Text, Text)| held.within(&self.body) == name;
        self.parameters.iter().filter(of_that_name).map(|(_, value)| value.within(&self.body))
    }

    /// The value of a parameter that has to be there.
    ///
    /// # Errors
    /// 400 `invalid_request` when it is absent.
    pub fn required(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.one(name).ok_or_else(|| OAuthError::invalid_request(format!("The parameter {name} is missing")))
    }

    fn parse(headers: HeaderMap, body: &[u8]) -> Result<Self, OAuthError> {
        // Appendix B: UTF-8. Other bytes could decode differently beside an escape.
        let body = str::from_utf8(body)
            .map_err(|_| OAuthError::invalid_request("The body must be UTF-8"))?
            .to_owned();
        let mut form = Self { headers, body, parameters: Vec::with_capacity(8) };
        let mut start = 0;
        for pair in form.body.split('&') {
            let (name, value) = (start..start + pair.find('=').unwrap_or(pair.len()), start + pair.len());
            let (name, value) = (name.clone(), (name.end + 1).min(value)..value);
            start += pair.len() + 1;
            if value.is_empty() {
                continue;
            }
            let (name, value) = (Text::of(&form.body, name), Text::of(&form.body, value));
            let spelled = name.within(&form.body);
            if !REPEATABLE.contains(&spelled) && form.one(spelled).is_some() {
                let known = spelled.len() <= 40
                    && spelled.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                let name = if known { spelled } else { "A parameter" };
                return Err(OAuthError::invalid_request(format!("{name} comes more than once")));
            }
            form.parameters.push((name, value));
        }
        Ok(form)
    }
}

impl Text {
    fn of(body: &str, range: Range<usize>) -> Self {
        let text = &body[range.clone()];
        if !text.contains(['+', '%']) {
            return Self::Plain(range);
        }
        let spaced = text.replace('+', " ");
        Self::Decoded(percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
    }

    fn within<'a>(&'a self, body: &'a str) -> &'a str {
        match self {
            Self::Plain(range) => &body[range.clone()],
            Self::Decoded(text) => text,
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = OAuthError;

    async fn from_request(request: Request, _: &S) -> Result<Self, OAuthError> {
        let (parts, body) = request.into_parts();
        let content_type = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let essence = content_type.and_then(|value| value.split(|&byte| byte == b';').next());
        if !essence.unwrap_or_default().trim_ascii().eq_ignore_ascii_case(TYPE) {
            return Err(OAuthError::invalid_request("The body must be application/x-www-form-urlencoded"));
        }
        let body = to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| ErrorAnswer::payload_too_large())?;
        Self::parse(parts.headers, &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &[u8]) -> Form {
        Form::parse(HeaderMap::new(), body).unwrap()
    }

    /// The values by another implementation.
    fn expected(body: &[u8], name: &str) -> Vec<String> {
        let pairs = form_urlencoded::parse(body).filter(|(held, value)| held == name && !value.is_empty());
        pairs.map(|(_, value)| value.into_owned()).collect()
    }

    #[test]
    fn parameters_are_read_as_others_read_them() {
        for body in [
            "token=abc&scope=a+b&resource=http%3A%2F%2Fa&resource=b",
            "&&token=a=b&&scope=%zz%&",
            "token&scope=&resource=%e2%82%ac&resource=+%2B+",
            "%74oken=a&sc+ope=b&scope=%ff",
            "",
            "=",
            "token=\u{20ac}&scope==",
        ] {
            let form = parsed(body.as_bytes());
            for name in ["token", "scope", "resource", "sc ope", "", "%74oken"] {
                let values: Vec<_> = form.all(name).collect();
                assert_eq!(values, expected(body.as_bytes(), name), "{name} in {body}");
            }
        }
    }

    #[test]
    fn a_body_that_is_no_text_is_refused() {
        for body in [&b"token=\xff\xfe&scope=a"[..], b"token=%e2\x82\xac"] {
            assert!(Form::parse(HeaderMap::new(), body).is_err());
        }
    }

    #[test]
    fn what_may_come_once_comes_once_however_it_is_spelled() {
        for body in ["token=a&token=b", "token=a&%74oken=a", "a+b=1&a%20b=2"] {
            assert!(Form::parse(HeaderMap::new(), body.as_bytes()).is_err(), "{body}");
        }
        assert_eq!(parsed(b"token=&token=b").one("token"), Some("b"));
        assert!(parsed(b"").required("token").is_err());
    }
}
