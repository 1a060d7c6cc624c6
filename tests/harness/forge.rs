//! A forger with the issuer's signing key, stolen from the database together with the master key. A forged token
//! therefore has exactly the one fault that its test is about.

use std::path::Path;

use auth_service::{
    domain::signing_key::KeyState,
    keys::{master_key::MasterKey, seal::Sealer},
    store::{Store, signing_keys::SealedSigningKey},
};
use serde_json::{Value, json};

use crate::jws::{RsaKey, message, seal};

/// Signs anything with the issuer's own key.
#[derive(Debug)]
pub struct Forge {
    pub key: RsaKey,
    pub kid: String,
    /// PKCS #8 document of the key. It must not occur unencrypted anywhere.
    pub pkcs8: Vec<u8>,
}

impl Forge {
    pub fn new(database: &Path, master_key: &Path) -> Self {
        let store = Store::open(database.to_owned().into(), None).unwrap();
        let is_active = |key: &SealedSigningKey| key.times.state() == KeyState::Active;
        let active = store.signing_keys().unwrap().into_iter().find(is_active).expect("a signing key");
        let sealer = Sealer::new(&MasterKey::read(master_key).unwrap()).unwrap();
        let pkcs8 = sealer.open(&format!("signing key {}", active.kid), &active.sealed).unwrap().to_vec();
        Self { key: RsaKey::from_pkcs8(&pkcs8), kid: active.kid.to_string(), pkcs8 }
    }

    /// The header that the issuer writes.
    pub fn header(&self) -> Value {
        json!({"alg": "RS256", "typ": "at+jwt", "kid": self.kid})
    }

    /// A token with these claims and no other difference.
    pub fn token(&self, claims: &Value) -> String {
        self.key.token(&self.header(), claims)
    }

    /// A token with another header.
    pub fn with_header(&self, header: &Value, claims: &Value) -> String {
        self.key.token(header, claims)
    }

    /// A token made of bytes that need not be JSON.
    pub fn raw(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let message = message(header, payload);
        seal(&message, self.key.sign("RS256", &message))
    }

    /// Signs two segments that need not be base64url.
    pub fn sign(&self, message: &str) -> String {
        seal(message, self.key.sign("RS256", message))
    }
}

/// Copies an object and sets some members.
#[must_use]
pub fn with(object: &Value, members: &[(&str, Value)]) -> Value {
    let mut object = object.clone();
    for (name, value) in members {
        object[*name] = value.clone();
    }
    object
}

/// Copies an object and removes one member.
#[must_use]
pub fn without(object: &Value, name: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove(name);
    object
}

/// The text of an object with one more member at its end. The member is appended unchanged, because no JSON library
/// would write it.
#[must_use]
pub fn raw_with(object: &Value, member: &str) -> String {
    let text = object.to_string();
    format!("{},{member}}}", text.strip_suffix('}').unwrap())
}
