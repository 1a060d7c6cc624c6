//! Published key sets. The input is the body of a JWK set.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countermark::verify::{InvalidKeySet, KeySet};
use serde_json::Value;

/// Reads a key set. Each key in the result must have an entry in the input that is usable for RS256.
pub fn read(input: &[u8]) {
    let set = match KeySet::from_json(input) {
        Ok(set) => set,
        Err(InvalidKeySet::Json | InvalidKeySet::Empty) => return,
        Err(other) => panic!("an error that this target does not know: {other}"),
    };
    assert!(!set.is_empty());
    let body: Value = serde_json::from_slice(input).expect("a set that was read is JSON");
    let entries = body["keys"].as_array().expect("it has an array of keys");
    let mut held: Vec<&str> = Vec::new();
    for entry in entries {
        let Some(kid) = entry["kid"].as_str() else { continue };
        if kid.parse().is_ok_and(|kid| set.key(&kid).is_some()) && !held.contains(&kid) {
            held.push(kid);
            assert!(entries.iter().any(|entry| entry["kid"] == kid && is_usable(entry)), "{kid}");
        }
    }
    assert_eq!(held.len(), set.len(), "a key that no entry names");
}

fn is_usable(entry: &Value) -> bool {
    let modulus = entry["n"].as_str().and_then(|n| URL_SAFE_NO_PAD.decode(n).ok()).unwrap_or_default();
    let bytes = modulus.iter().skip_while(|&&byte| byte == 0).count();
    entry["kty"] == "RSA"
        && entry["e"] == "AQAB"
        && (256..=1024).contains(&bytes)
        && entry.get("d").is_none()
        && matches!(entry["use"].as_str(), None | Some("sig"))
        && matches!(entry["alg"].as_str(), None | Some("RS256"))
}
