//! Reads a token without verifying it. The result selects a verifier or goes to the service's own logs. It is never the
//! basis of a decision.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
#[cfg(any(test, feature = "http"))]
use serde_json::{Map, Value};

#[cfg(any(test, feature = "http"))]
use super::json::Strict;
use super::{Audiences, Issuer, MAX_TOKEN_BYTES};

/// The JOSE header of a token, unverified. `None` when it is not an object, or the token is longer than
/// [`MAX_TOKEN_BYTES`].
#[cfg(any(test, feature = "http"))]
#[must_use]
pub(crate) fn header(token: &str) -> Option<Map<String, Value>> {
    match serde_json::from_slice(&segment(token, 0)?) {
        Ok(Strict(Value::Object(members))) => Some(members),
        Ok(_) | Err(_) => None,
    }
}

/// The issuer that the token names, unverified.
#[must_use]
pub(crate) fn issuer(token: &str) -> Option<Issuer> {
    #[derive(Deserialize)]
    struct Payload {
        iss: Issuer,
    }

    serde_json::from_slice(&segment(token, 1)?).ok().map(|payload: Payload| payload.iss)
}

/// The audiences that the token names, unverified.
#[must_use]
pub(crate) fn audiences(token: &str) -> Option<Audiences> {
    #[derive(Deserialize)]
    struct Payload {
        aud: Audiences,
    }

    serde_json::from_slice(&segment(token, 1)?).ok().map(|payload: Payload| payload.aud)
}

fn segment(token: &str, position: usize) -> Option<Vec<u8>> {
    let token = Some(token).filter(|token| token.len() <= MAX_TOKEN_BYTES)?;
    URL_SAFE_NO_PAD.decode(token.split('.').nth(position)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_says_nothing() {
        for token in ["", ".", "a.b.c", "rt_x", &"x".repeat(9_000)] {
            assert_eq!((header(token), issuer(token)), (None, None), "{token:.20}");
        }
    }

    #[test]
    fn header_and_issuer_are_read_as_they_stand() {
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = format!("{}.{}.", encoded(r#"{"alg":"none"}"#), encoded(r#"{"iss":"http://a"}"#));
        assert_eq!(header(&token).unwrap()["alg"], "none");
        assert_eq!(issuer(&token), Some(Issuer::new("http://a")));
        let twice = format!("{}.{}.", encoded(r#"{"alg":1,"alg":2}"#), encoded(r#"{"iss":"a","iss":"b"}"#));
        assert_eq!((header(&twice), issuer(&twice)), (None, None));
    }
}
