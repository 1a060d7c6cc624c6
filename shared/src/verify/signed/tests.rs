use serde_json::{Value, json};

use super::*;
use crate::forge::{NOW, headed, keys, signed};

fn read(token: &str) -> Result<Signed, TokenError> {
    Signed::read(token, &keys(&["1"]))
}

/// Every claim with a name of its own, and custom claims of every JSON type.
fn everything() -> Value {
    json!({
        "iss": "http://issuer", "sub": "somebody", "aud": ["documents", "archive"], "exp": NOW + 60, "nbf": NOW - 1,
        "iat": NOW - 2, "jti": "token", "client_id": "client", "scope": "read write", "roles": ["admin", "owner"],
        "email": "somebody@example.com", "sid": "session", "auth_time": NOW - 3, "fresh": true,
        "amr": ["pwd", "otp"], "csrf": "value",
        "custom": {"null": null, "bool": true, "negative": -1, "large": u64::MAX, "float": 0.5, "text": "\u{e9}\n",
            "list": [1, "two", [], {}], "object": {"nested": {"a": "b"}}},
    })
}

#[test]
fn every_claim_is_read_and_written_as_it_stands() {
    let token = read(&signed("1", &everything())).unwrap();
    assert_eq!(serde_json::to_value(&**token.claims()).unwrap(), everything());
    assert_eq!(token.kid().as_str(), "1");
}

#[test]
fn names_are_shown_as_they_stand() {
    let token = read(&signed("1", &everything())).unwrap();
    let claims = token.claims();
    assert_eq!((claims.iss.as_str(), &*claims.iss.to_string()), ("http://issuer", "http://issuer"));
    assert_eq!((claims.sub.as_str(), &*claims.sub.to_string()), ("somebody", "somebody"));
    let audiences: Vec<_> = claims.aud.iter().map(|aud| (aud.as_str(), aud.to_string())).collect();
    assert_eq!(audiences, [("documents", "documents".to_owned()), ("archive", "archive".to_owned())]);
}

#[test]
fn a_claim_that_is_not_there_is_not_written() {
    let (jti, few) = ("token", json!({ "scope": "", "aud": "documents", "jti": "token" }));
    let token = read(&signed("1", &few)).unwrap();
    let mut expected =
        json!({ "iss": "http://issuer", "sub": "somebody", "aud": "documents", "exp": NOW + 60 });
    expected["jti"] = jti.into();
    assert_eq!(serde_json::to_value(&**token.claims()).unwrap(), expected);
}

#[test]
fn a_claim_of_another_kind_is_refused() {
    for name in
        ["iss", "sub", "exp", "nbf", "iat", "jti", "client_id", "scope", "email", "sid", "auth_time", "csrf"]
    {
        for value in [json!(true), json!(null), json!([]), json!({}), json!(-1)] {
            let token = signed("1", &json!({ name: value }));
            assert_eq!(read(&token).unwrap_err(), TokenError::Json(Part::Payload), "{name}: {value}");
        }
    }
    for name in ["aud", "roles", "amr"] {
        for value in [json!(true), json!([1]), json!({})] {
            let token = signed("1", &json!({ name: value }));
            assert_eq!(read(&token).unwrap_err(), TokenError::Json(Part::Payload), "{name}: {value}");
        }
    }
    for value in [json!("true"), json!(1), json!(null)] {
        assert!(read(&signed("1", &json!({ "fresh": value }))).is_err());
    }
}

#[test]
fn a_time_lies_between_1970_and_the_last_second_that_a_double_counts() {
    let exp = |value: Value| {
        read(&signed("1", &json!({ "exp": value }))).map(|token| token.claims().exp.unix_seconds())
    };
    assert_eq!(exp(json!(0)), Ok(0));
    assert_eq!(exp(json!(1.9)), Ok(1));
    assert_eq!(exp(json!(1_u64 << 53)), Ok(1 << 53));
    for value in [json!((1_u64 << 53) + 1), json!(u64::MAX), json!(1e16), json!(-1), json!(-0.1), json!("1")]
    {
        assert_eq!(exp(value.clone()), Err(TokenError::Json(Part::Payload)), "{value}");
    }
}

#[test]
fn what_has_to_be_there_is() {
    for name in ["iss", "sub", "aud", "exp"] {
        let mut claims = everything();
        claims.as_object_mut().unwrap().remove(name);
        // The helper `signed` would add the claim again.
        let encoded = URL_SAFE_NO_PAD.encode(claims.to_string());
        let read: UnverifiedClaims = json_of(&encoded, Part::Payload).unwrap();
        assert_eq!(complete(read).unwrap_err(), TokenError::Absent(name));
    }
}

#[test]
fn the_type_is_compared_as_a_media_type() {
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        assert!(read(&headed(&json!({ "kid": "1", "typ": typ }), &json!({}))).is_ok(), "{typ}");
    }
    for typ in [json!("JWT"), json!("at+jwt "), json!("text/at+jwt"), json!("logout+jwt"), json!("")] {
        let token = headed(&json!({ "kid": "1", "typ": typ }), &json!({}));
        assert_eq!(read(&token).unwrap_err(), TokenError::Type, "{typ}");
    }
}

#[test]
fn the_header_chooses_among_the_keys_at_hand_and_nothing_else() {
    let refused = |change: Value| read(&headed(&change, &json!({}))).unwrap_err();
    for alg in ["none", "rs256", "HS256", "RS384", "RS512", "PS256", "ES256", "EdDSA"] {
        assert_eq!(refused(json!({ "kid": "1", "alg": alg })), TokenError::Algorithm);
    }
    assert_eq!(refused(json!({ "kid": "1", "crit": ["exp"] })), TokenError::Critical);
    assert_eq!(refused(json!({ "kid": "1", "b64": false })), TokenError::Critical);
    assert_eq!(refused(json!({ "kid": "2" })), TokenError::UnknownKey);
    assert_eq!(refused(json!({})), TokenError::UnknownKey);
    assert_eq!(refused(json!({ "kid": 1 })), TokenError::Json(Part::Header));
    assert!(read(&headed(&json!({ "kid": "1", "jku": "http://elsewhere", "jwk": {} }), &json!({}))).is_ok());
}

#[test]
fn a_token_has_three_segments_in_one_spelling() {
    let token = signed("1", &json!({}));
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    for broken in
        ["", ".", "..", "...", message, &format!("{token}."), &format!("{token}.a"), &format!(".{token}")]
    {
        assert!(read(broken).is_err(), "{broken}");
    }
    for (broken, error) in [
        (format!("{header}=.{payload}.{signature}"), TokenError::Encoding(Part::Header)),
        (format!("{header}.{payload}.{signature}="), TokenError::Encoding(Part::Signature)),
        (format!("{header}.{payload}.{signature}AAAA"), TokenError::Signature),
        (format!("{header}.{payload}.{}", &signature[4..]), TokenError::Signature),
        (format!("{header}.{payload}."), TokenError::Signature),
        (format!("{header}.{payload}.{}", "A".repeat(4_000)), TokenError::Encoding(Part::Signature)),
        (format!("{header}.{}.{signature}", &payload[4..]), TokenError::Signature),
    ] {
        assert_eq!(read(&broken).unwrap_err(), error, "{broken}");
    }
}

#[test]
fn a_token_has_8_kib_at_most() {
    let sized = |size: usize| signed("1", &json!({ "custom": "x".repeat(size) }));
    // Base64 writes three bytes as four characters.
    let size = 5_700 + (0..300).find(|more| sized(5_700 + more).len() >= MAX_TOKEN_BYTES).unwrap();
    let (last, first_refused) = (sized(size), sized(size + 1));
    assert_eq!(last.len(), 8_192);
    assert!(read(&last).is_ok());
    assert!(first_refused.len() > 8_192);
    assert_eq!(read(&first_refused).unwrap_err(), TokenError::TooLong);
}

#[test]
fn a_signature_of_the_largest_key_fits() {
    // 1,024 bytes are 8192 bits.
    let token = signed("1", &json!({}));
    let message = token.rsplit_once('.').unwrap().0;
    let largest = format!("{message}.{}", URL_SAFE_NO_PAD.encode([7; 1_024]));
    assert_eq!(read(&largest).unwrap_err(), TokenError::Signature);
}

#[test]
fn no_member_comes_twice() {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    for text in [
        r#"{"sub":"a","sub":"a"}"#,
        r#"{"sub":"a","s\u0075b":"b"}"#,
        r#"{"own":1,"own":1}"#,
        r#"{"own":{"a":1,"a":2}}"#,
        r#"{"own":[{"a":1,"\u0061":2}]}"#,
    ] {
        let read: Result<UnverifiedClaims, _> = json_of(&encode(text), Part::Payload);
        assert_eq!(read.err(), Some(TokenError::Json(Part::Payload)), "{text}");
    }
    for text in [r#"{"alg":"RS256","alg":"RS256"}"#, r#"{"own":1,"own":1}"#] {
        let read: Result<UnverifiedHeader, _> = json_of(&encode(text), Part::Header);
        assert_eq!(read.err(), Some(TokenError::Json(Part::Header)), "{text}");
    }
}

#[test]
fn the_outside_learns_no_more_than_it_may() {
    assert_eq!(TokenError::Expired.public_message(), "The token has expired");
    assert_eq!(TokenError::Revoked.public_message(), "The token has been revoked");
    assert_eq!(TokenError::RefreshToken.public_message(), "Only access tokens are accepted");
    assert_eq!(TokenError::Signature.public_message(), TokenError::Audience.public_message());
    assert_eq!(TokenError::Signature.public_message(), "The token is invalid");
}
