//! The public keys of a client that signs assertions, as it is registered with them (RFC 7517 §5).
//!
//! A private or symmetric key is refused: whoever reads the database or a backup could sign as the client. Only the
//! public members of usable keys are kept. Keys of a type that no assertion is signed with are left out.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countermark::verify::PublicKey;
use serde_json::{Map, Value, json};

/// Members that hold a private key or a part of one (RFC 7518 §6.2.2, §6.3.2, RFC 8037 §2; `priv` is of newer types).
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "priv", "seed"];

/// The members that are kept.
const PUBLIC: [&str; 9] = ["kty", "kid", "use", "key_ops", "alg", "n", "e", "crv", "x"];

/// The text is no set of public keys that assertions can be verified with. Keys are counted from 1. No value is named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClientKeys {
    /// It is not a JSON object with an array `keys`.
    #[error("holds no JWK set; write {{\"keys\": [\u{2026}]}}")]
    NoSet,
    /// The key contains a private member.
    #[error(
        "key {0} has the private member {1:?}; register the public key alone, and replace a key that was shown"
    )]
    Private(usize, &'static str),
    /// The key is a shared secret.
    #[error(
        "key {0} is symmetric ({1}); register a public key of type RSA or EC, and replace a key that was shown"
    )]
    Symmetric(usize, &'static str),
    /// The key is malformed or weak.
    #[error("key {0} can't be used: {1}")]
    Unusable(usize, &'static str),
    /// The set has no key of a type that is used.
    #[error("holds no key that can be used; RS256 needs an RSA key, and ES256 an EC key on P-256")]
    NoKey,
}

const WEAK_RSA: &str = "an RSA key has an odd modulus n of 2048 to 8192 bits, without the ROCA weakness \
                        (CVE-2017-15361), and the exponent e of AQAB (65537)";
const NOT_ON_CURVE: &str = "x and y are no point of P-256";

/// Parses a JWK set, and returns its usable keys as a JWK set.
///
/// # Errors
/// [`InvalidClientKeys`] names the first key that must not be registered, and why.
pub fn public_keys(text: &str) -> Result<String, InvalidClientKeys> {
    let set: Value = serde_json::from_str(text).map_err(|_| InvalidClientKeys::NoSet)?;
    let Some(keys) = set.get("keys").and_then(Value::as_array) else {
        // A private key is named as one, also where a set should stand.
        if let Value::Object(key) = &set {
            refuse_secret(1, key)?;
        }
        return Err(InvalidClientKeys::NoSet);
    };
    let mut kept = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        let Value::Object(key) = key else {
            return Err(InvalidClientKeys::Unusable(at + 1, "it is no object"));
        };
        refuse_secret(at + 1, key)?;
        if is_used(key) {
            refuse_weak(at + 1, key)?;
            kept.push(public(key));
        }
    }
    if kept.is_empty() { Err(InvalidClientKeys::NoKey) } else { Ok(json!({ "keys": kept }).to_string()) }
}

fn text<'a>(key: &'a Map<String, Value>, member: &str) -> Option<&'a str> {
    key.get(member).and_then(Value::as_str)
}

fn refuse_secret(at: usize, key: &Map<String, Value>) -> Result<(), InvalidClientKeys> {
    if let Some(member) = PRIVATE.into_iter().find(|&member| key.contains_key(member)) {
        return Err(InvalidClientKeys::Private(at, member));
    }
    if key.contains_key("k") {
        return Err(InvalidClientKeys::Symmetric(at, "member \"k\""));
    }
    if text(key, "kty").is_some_and(|kty| kty.eq_ignore_ascii_case("oct")) {
        return Err(InvalidClientKeys::Symmetric(at, "kty \"oct\""));
    }
    Ok(())
}

/// `true` when the key is of a type that assertions are signed with, and for signatures.
fn is_used(key: &Map<String, Value>) -> bool {
    let alg = match (text(key, "kty"), text(key, "crv")) {
        (Some("RSA"), _) => "RS256",
        (Some("EC"), Some("P-256")) => "ES256",
        _ => return false,
    };
    let verifies = |operations: &Value| {
        operations
            .as_array()
            .is_some_and(|operations| operations.iter().any(|operation| operation == "verify"))
    };
    key.get("alg").is_none_or(|only| only == alg)
        && key.get("use").is_none_or(|only| only == "sig")
        && key.get("key_ops").is_none_or(verifies)
        && key.get("kid").is_none_or(Value::is_string)
}

fn refuse_weak(at: usize, key: &Map<String, Value>) -> Result<(), InvalidClientKeys> {
    let bytes = |member: &str| text(key, member).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    if text(key, "kty") == Some("RSA") {
        let is_good = text(key, "e") == Some("AQAB")
            && bytes("n").and_then(|modulus| PublicKey::from_modulus(&modulus)).is_some();
        return if is_good { Ok(()) } else { Err(InvalidClientKeys::Unusable(at, WEAK_RSA)) };
    }
    let (x, y) = (bytes("x").unwrap_or_default(), bytes("y").unwrap_or_default());
    // An uncompressed point (SEC 1 §2.3.3).
    let point = [&[4], &x[..], &y].concat();
    let is_point = x.len() == 32 && ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).is_ok();
    if is_point { Ok(()) } else { Err(InvalidClientKeys::Unusable(at, NOT_ON_CURVE)) }
}

fn public(key: &Map<String, Value>) -> Value {
    let kept =
        PUBLIC.into_iter().chain(["y"]).filter_map(|name| Some((name.to_owned(), key.get(name)?.clone())));
    kept.collect()
}

#[cfg(test)]
mod tests;
