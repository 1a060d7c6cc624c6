//! [`JsonBody`]: JSON bodies, read strictly. A member that a route does not know is refused.

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::{HeaderValue, header},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ErrorAnswer, location::is_json};

/// Largest body that is read, unless a route sets another size: 16 KiB.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// A JSON object of the shape `T`, at most `MAX` bytes long. `T` should refuse unknown members
/// (`#[serde(deny_unknown_fields)]`).
///
/// Refused with 400 `invalid_request` when the content type is not JSON (`Missing JSON in request`) or the body is not
/// of the shape, and with 413 `payload_too_large` over `MAX`.
#[derive(Clone, Copy, Debug)]
pub struct JsonBody<T, const MAX: usize = MAX_BODY_BYTES>(pub T);

impl<T: DeserializeOwned, const MAX: usize> JsonBody<T, MAX> {
    /// Reads a body that was received already.
    ///
    /// # Errors
    /// 400 `invalid_request`, as above.
    pub fn parse(content_type: Option<&HeaderValue>, body: &[u8]) -> Result<Self, ErrorAnswer> {
        if !content_type.is_some_and(is_json) {
            return Err(ErrorAnswer::invalid_request("Missing JSON in request"));
        }
        // serde would fill a struct from an array, too.
        if body.trim_ascii_start().first() == Some(&b'[') {
            return Err(ErrorAnswer::invalid_request("The JSON body does not fit: it must be an object"));
        }
        serde_json::from_slice(body).map(Self).map_err(|error| {
            ErrorAnswer::invalid_request(null_member(&error, body).unwrap_or_else(|| explain(&error)))
        })
    }
}

impl<T: DeserializeOwned, S: Send + Sync, const MAX: usize> FromRequest<S> for JsonBody<T, MAX> {
    type Rejection = ErrorAnswer;

    async fn from_request(request: Request, _: &S) -> Result<Self, ErrorAnswer> {
        let content_type = request.headers().get(header::CONTENT_TYPE).cloned();
        let body = to_bytes(request.into_body(), MAX).await;
        Self::parse(content_type.as_ref(), &body.map_err(|_| ErrorAnswer::payload_too_large())?)
    }
}

/// Names the member that is `null`, where that is what is wrong. serde calls a `null` a wrong type, or no JSON at all.
fn null_member(error: &serde_json::Error, body: &[u8]) -> Option<String> {
    let message = error.to_string();
    if ["missing field", "unknown field", "duplicate field"].iter().any(|known| message.starts_with(known)) {
        return None;
    }
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else { return None };
    let (name, _) = members.iter().find(|(_, value)| value.is_null())?;
    // A name of another kind could be a value in the wrong place.
    let is_name = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let name = if is_name { name } else { "a member" };
    Some(format!(
        "The JSON body does not fit: `{name}` is null; give it a value, or leave it out if it is optional"
    ))
}

/// Describes what is wrong and where. The message names members but never a value, because a value could be a password in
/// the wrong place.
fn explain(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    match error.classify() {
        Category::Data => {
            let message = error.to_string();
            if ["missing field", "unknown field", "duplicate field"]
                .iter()
                .any(|known| message.starts_with(known))
            {
                format!("The JSON body does not fit: {message}")
            } else {
                format!(
                    "The JSON body does not fit: a value of the wrong type at line {} column {}",
                    error.line(),
                    error.column()
                )
            }
        }
        Category::Syntax | Category::Eof | Category::Io => {
            format!("The body is not valid JSON, at line {} column {}", error.line(), error.column())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Login {
        #[serde(rename = "email")]
        _email: String,
        #[serde(rename = "password")]
        _password: String,
    }

    fn refused(content_type: &'static str, body: &str) -> String {
        let content_type = HeaderValue::from_static(content_type);
        let refusal = JsonBody::<Login>::parse(Some(&content_type), body.as_bytes()).map(drop).unwrap_err();
        assert_eq!(refusal.status().as_u16(), 400);
        refusal.msg().to_owned()
    }

    #[test]
    fn what_is_wrong_is_said_without_a_value() {
        let json = "application/json; charset=utf-8";
        assert_eq!(refused("text/plain", "{}"), "Missing JSON in request");
        assert!(refused(json, "{").starts_with("The body is not valid JSON, at line 1"));
        assert!(refused(json, r#"["a","b"]"#).ends_with("it must be an object"));
        assert!(refused(json, r#"{"email":"a"}"#).contains("missing field `password`"));
        assert!(
            refused(json, r#"{"email":"a","password":"b","roles":[]}"#).contains("unknown field `roles`")
        );
        assert!(
            refused(json, r#"{"email":"a","email":"a","password":"b"}"#).contains("duplicate field `email`")
        );
        let null = refused(json, r#"{"email":null,"password":"hunter2"}"#);
        assert!(null.contains("`email` is null") && !null.contains("hunter2"), "{null}");
        let wrong_type = refused(json, r#"{"email":"a","password":{"hunter2":1}}"#);
        assert!(wrong_type.contains("wrong type") && !wrong_type.contains("hunter2"), "{wrong_type}");
    }
}
