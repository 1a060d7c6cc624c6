//! Claims as protobuf messages. The issuer writes them and verifiers read them, so both directions are in one place.
//!
//! Two things are lost: `nbf`, and the difference between integers and doubles in custom claims. The wire has doubles only, so
//! whole numbers up to 2^53 come back as integers, and larger ones are rounded.

use countermark_proto::auth_v1::{Claims as WireClaims, IntrospectResponse};
use prost_types::{ListValue, Struct, Value as WireValue, value::Kind};
use serde_json::{Map, Number, Value};

use crate::verify::{Audience, Audiences, Claims, Issuer, NumericDate, Opaque};

/// The furthest instant that a claim may name, and the largest integer that a double holds exactly: 2^53.
const EXACT: i64 = 1 << 53;

/// An answer that can't be one about an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAnswer {
    /// A token is said to be active, and nothing is said of it.
    #[error("a token is active, but its claims are not there")]
    NoClaims,
    /// This claim is absent although it must be there, or holds what it can't.
    #[error("the claim {0} is absent, or holds what it can't")]
    Claim(&'static str),
    /// More answers than tokens, or fewer.
    #[error("not as many answers as tokens")]
    Count,
}

/// The answer about a token that claims `claims`, or about an inactive one.
#[must_use]
pub fn response(claims: Option<Claims>) -> IntrospectResponse {
    IntrospectResponse { active: claims.is_some(), claims: claims.map(WireClaims::from) }
}

/// What an answer says; `None` of an inactive token.
///
/// # Errors
/// [`InvalidAnswer`] when it says what can't be.
pub fn claims(response: IntrospectResponse) -> Result<Option<Claims>, InvalidAnswer> {
    match response {
        IntrospectResponse { active: false, .. } => Ok(None),
        IntrospectResponse { active: true, claims: Some(claims) } => Claims::try_from(claims).map(Some),
        IntrospectResponse { active: true, claims: None } => Err(InvalidAnswer::NoClaims),
    }
}

impl From<Claims> for WireClaims {
    fn from(claims: Claims) -> Self {
        let text = |id: Option<Opaque>| id.map(|id| id.to_string());
        Self {
            iss: claims.iss.to_string(),
            sub: claims.sub.to_string(),
            aud: claims.aud.iter().map(ToString::to_string).collect(),
            exp: claims.exp.unix_seconds(),
            iat: claims.iat.map_or(0, NumericDate::unix_seconds),
            jti: text(claims.jti).unwrap_or_default(),
            client_id: text(claims.client_id).unwrap_or_default(),
            scope: (!claims.scope.is_empty()).then(|| claims.scope.to_string()),
            roles: claims.roles,
            email: claims.email,
            sid: text(claims.sid),
            auth_time: claims.auth_time.map(NumericDate::unix_seconds),
            fresh: claims.fresh,
            amr: claims.amr,
            csrf: claims.csrf,
            custom: (!claims.custom.is_empty()).then(|| to_struct(claims.custom)),
        }
    }
}

impl TryFrom<WireClaims> for Claims {
    type Error = InvalidAnswer;

    fn try_from(claims: WireClaims) -> Result<Self, InvalidAnswer> {
        let audiences = claims.aud.into_iter().map(Audience::new).collect();
        Ok(Self {
            iss: some_text(claims.iss).map(Issuer::new).ok_or(InvalidAnswer::Claim("iss"))?,
            sub: opaque("sub", &claims.sub)?,
            aud: Audiences::new(audiences).ok_or(InvalidAnswer::Claim("aud"))?,
            exp: date("exp", claims.exp)?,
            nbf: None,
            // proto3 can't tell an absent number or text from a zero or an empty one; no token has those.
            iat: Some(claims.iat).filter(|&iat| iat != 0).map(|iat| date("iat", iat)).transpose()?,
            jti: some_text(claims.jti).map(|jti| opaque("jti", &jti)).transpose()?,
            client_id: some_text(claims.client_id).map(|id| opaque("client_id", &id)).transpose()?,
            scope: claims.scope.unwrap_or_default().parse().map_err(|_| InvalidAnswer::Claim("scope"))?,
            roles: claims.roles,
            email: claims.email,
            sid: claims.sid.map(|sid| opaque("sid", &sid)).transpose()?,
            auth_time: claims.auth_time.map(|at| date("auth_time", at)).transpose()?,
            fresh: claims.fresh,
            amr: claims.amr,
            csrf: claims.csrf,
            custom: custom(claims.custom.unwrap_or_default())?,
        })
    }
}

fn some_text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn opaque(name: &'static str, text: &str) -> Result<Opaque, InvalidAnswer> {
    text.parse().map_err(|_| InvalidAnswer::Claim(name))
}

fn date(name: &'static str, seconds: i64) -> Result<NumericDate, InvalidAnswer> {
    if (0..=EXACT).contains(&seconds) {
        Ok(NumericDate::from_unix_seconds(seconds))
    } else {
        Err(InvalidAnswer::Claim(name))
    }
}

/// Custom claims under names of their own: one that is called `roles` would be a second set of roles.
fn custom(members: Struct) -> Result<Map<String, Value>, InvalidAnswer> {
    from_struct(members)
        .filter(|members| !Claims::RESERVED.iter().any(|name| members.contains_key(*name)))
        .ok_or(InvalidAnswer::Claim("custom"))
}

fn to_struct(members: Map<String, Value>) -> Struct {
    Struct { fields: members.into_iter().map(|(name, value)| (name, to_value(value))).collect() }
}

fn to_value(value: Value) -> WireValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        // JSON has no number that is no double; the other end refuses NaN.
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.into_iter().map(to_value).collect() })
        }
        Value::Object(members) => Kind::StructValue(to_struct(members)),
    };
    WireValue { kind: Some(kind) }
}

fn from_struct(members: Struct) -> Option<Map<String, Value>> {
    members.fields.into_iter().map(|(name, value)| Some((name, from_value(value)?))).collect()
}

/// `None` for what JSON can't say: no value at all, and numbers that are none.
fn from_value(value: WireValue) -> Option<Value> {
    Some(match value.kind? {
        Kind::NullValue(_) => Value::Null,
        Kind::BoolValue(value) => Value::Bool(value),
        Kind::NumberValue(number) => Value::Number(from_double(number)?),
        Kind::StringValue(text) => Value::String(text),
        Kind::ListValue(list) => {
            Value::Array(list.values.into_iter().map(from_value).collect::<Option<_>>()?)
        }
        Kind::StructValue(members) => Value::Object(from_struct(members)?),
    })
}

fn from_double(number: f64) -> Option<Number> {
    #[expect(clippy::cast_precision_loss, reason = "2^53 is exact in a double")]
    let is_exact = number.fract() == 0.0 && number.abs() <= EXACT as f64;
    if is_exact {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and in range")]
        Some(Number::from(number as i64))
    } else {
        Number::from_f64(number)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn full() -> Claims {
        let date = |seconds| Some(NumericDate::from_unix_seconds(seconds));
        let custom = json!({
            "level": 3, "below": -4, "ratio": 0.25, "far": EXACT, "huge": 1e300, "on": true, "none": null, "text": "\u{1f511}",
            "list": [1, "a", [], {}, null], "nested": { "": { "deep": [[[false]]] } },
        });
        Claims {
            iss: Issuer::new("http://localhost:8080"),
            sub: "0190".parse().unwrap(),
            aud: Audiences::new(vec![Audience::new("a"), Audience::new("b")]).unwrap(),
            exp: NumericDate::from_unix_seconds(1_800_000_900),
            nbf: None,
            iat: date(1_800_000_000),
            jti: Some("jti".parse().unwrap()),
            client_id: Some("first-party".parse().unwrap()),
            scope: "documents:read documents:write".parse().unwrap(),
            roles: vec!["admin".into()],
            email: Some("test@example.com".into()),
            sid: Some("sid".parse().unwrap()),
            auth_time: date(0),
            fresh: Some(false),
            amr: vec!["pwd".into()],
            csrf: Some(String::new()),
            custom: custom.as_object().unwrap().clone(),
        }
    }

    fn least() -> Claims {
        Claims {
            iat: None,
            jti: None,
            client_id: None,
            scope: "".parse().unwrap(),
            roles: vec![],
            email: None,
            sid: None,
            auth_time: None,
            fresh: None,
            amr: vec![],
            csrf: None,
            custom: Map::new(),
            ..full()
        }
    }

    fn refused(change: impl FnOnce(&mut WireClaims)) -> InvalidAnswer {
        let mut claims = WireClaims::from(full());
        change(&mut claims);
        Claims::try_from(claims).unwrap_err()
    }

    #[test]
    fn claims_come_back_as_they_went() {
        for claims in [full(), least()] {
            assert_eq!(super::claims(response(Some(claims.clone()))), Ok(Some(claims)));
        }
        assert_eq!(super::claims(response(None)), Ok(None));
    }

    #[test]
    fn an_absent_claim_is_an_unset_field() {
        let WireClaims { scope, email, sid, auth_time, fresh, csrf, custom, .. } = least().into();
        assert_eq!(
            (scope, email, sid, auth_time, fresh, csrf, custom),
            (None, None, None, None, None, None, None)
        );
    }

    #[test]
    fn whole_numbers_are_integers_again() {
        let mut claims = full();
        claims.custom = json!({ "float": 2.0 }).as_object().unwrap().clone();
        let back = Claims::try_from(WireClaims::from(claims)).unwrap();
        assert_eq!(Value::Object(back.custom), json!({ "float": 2 }));
    }

    #[test]
    fn what_no_token_claims_is_refused() {
        use InvalidAnswer::Claim;
        assert_eq!(refused(|claims| claims.iss.clear()), Claim("iss"));
        assert_eq!(refused(|claims| claims.sub.clear()), Claim("sub"));
        assert_eq!(refused(|claims| claims.sub = "x".repeat(256)), Claim("sub"));
        assert_eq!(refused(|claims| claims.aud.clear()), Claim("aud"));
        assert_eq!(refused(|claims| claims.exp = -1), Claim("exp"));
        assert_eq!(refused(|claims| claims.exp = i64::MAX), Claim("exp"));
        assert_eq!(refused(|claims| claims.iat = -1), Claim("iat"));
        assert_eq!(refused(|claims| claims.auth_time = Some(EXACT + 1)), Claim("auth_time"));
        assert_eq!(refused(|claims| claims.scope = Some("a  b".into())), Claim("scope"));
        assert_eq!(refused(|claims| claims.sid = Some(String::new())), Claim("sid"));
        for kind in [None, Some(Kind::NumberValue(f64::NAN)), Some(Kind::NumberValue(f64::INFINITY))] {
            let fields = [("custom".to_owned(), WireValue { kind })].into();
            assert_eq!(refused(|claims| claims.custom = Some(Struct { fields })), Claim("custom"));
        }
        let roles = json!({ "roles": ["admin"] }).as_object().unwrap().clone();
        assert_eq!(refused(|claims| claims.custom = Some(to_struct(roles))), Claim("custom"));
        let silent = IntrospectResponse { active: true, claims: None };
        assert_eq!(claims(silent), Err(InvalidAnswer::NoClaims));
    }
}
