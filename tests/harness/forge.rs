//! A forger who has stolen everything: the signing key, out of the database and with the master key. So a forged token
//! is wrong in the one way that its test is about, and in no other.

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
    /// The PKCS #8 document of the key: what must stand nowhere in the clear.
    pub pkcs8: Vec<u8>,
}

impl Forge {
    pub fn new(database: &Path, master_key: &Path) -> Self {
        let store = Store::open(database.to_owned().into()).unwrap();
        let is_active = |key: &SealedSigningKey| key.times.state() == KeyState::Active;
        let active = store.signing_keys().unwrap().into_iter().find(is_active).expect("a signing key");
        let sealer = Sealer::new(&MasterKey::read(master_key).unwrap()).unwrap();
        let pkcs8 = sealer.open(&format!("signing key {}", active.kid), &active.sealed).unwrap().to_vec();
        Self { key: RsaKey::from_pkcs8(&pkcs8), kid: active.kid, pkcs8 }
    }

    /// The header that the issuer writes.
    pub fn header(&self) -> Value {
        json!({"alg": "RS256", "typ": "at+jwt", "kid": self.kid})
    }

    /// A token with those claims, and nothing wrong with it otherwise.
    pub fn token(&self, claims: &Value) -> String {
        self.key.token(&self.header(), claims)
    }

    /// The same with a header of the forger's own.
    pub fn with_header(&self, header: &Value, claims: &Value) -> String {
        self.key.token(header, claims)
    }

    /// The same from bytes that need not be JSON.
    pub fn raw(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let message = message(header, payload);
        seal(&message, self.key.sign("RS256", &message))
    }

    /// Signs two segments that need not be base64url.
    pub fn sign(&self, message: &str) -> String {
        seal(message, self.key.sign("RS256", message))
    }
}

/// An object with some members set.
#[must_use]
pub fn with(object: &Value, members: &[(&str, Value)]) -> Value {
    let mut object = object.clone();
    for (name, value) in members {
        object[*name] = value.clone();
    }
    object
}

/// An object with one member less.
#[must_use]
pub fn without(object: &Value, name: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove(name);
    object
}

/// The text of an object with one more member at its end, written as it is: for what no JSON library would write.
#[must_use]
pub fn raw_with(object: &Value, member: &str) -> String {
    let text = object.to_string();
    format!("{},{member}}}", text.strip_suffix('}').unwrap())
}
