//! Which program is calling: by its id and secret, or by a service token of its own.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use shared::token::Audience;
use zeroize::Zeroizing;

use super::{Error, Hall};
use crate::domain::{
    audience::INTROSPECT,
    client::{Client, ClientId},
    secret::SecretHash,
};

/// What a program shows of itself.
pub enum Credentials {
    /// A client's id and secret.
    Secret {
        /// The id, as it was shown.
        id: String,
        /// The secret, as it was shown.
        secret: Zeroizing<String>,
    },
    /// A service token with the scope `introspect` and the issuer in `aud`.
    Token(Zeroizing<String>),
}

/// A program that proved who it is, and that may ask about tokens.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who it is.
    pub client: ClientId,
    /// Whose tokens it may ask about.
    pub audiences: Vec<Audience>,
}

impl Credentials {
    /// Reads the value of an `Authorization` header or metadata entry: `Basic` (RFC 7617; id and secret form-encoded,
    /// RFC 6749 §2.3.1) or `Bearer`. `None` when it is neither.
    #[must_use]
    pub fn parse(authorization: &str) -> Option<Self> {
        let (scheme, value) = authorization.split_once(' ')?;
        let value = value.trim_matches(' ');
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Token(Zeroizing::new(value.to_owned())));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = Zeroizing::new(STANDARD.decode(value).ok()?);
        let (id, secret) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
        Some(Self::Secret { id: form_decoded(id)?, secret: Zeroizing::new(form_decoded(secret)?) })
    }
}

impl Hall {
    /// Proves that `credentials` are those of a client which may ask about tokens.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when they are nobody's; [`Error::NotAllowed`] when the client lacks the scope.
    pub fn authenticate_caller(&self, credentials: &Credentials) -> Result<Caller, Error> {
        let client = match credentials {
            Credentials::Secret { id, secret } => self.client_with_secret(id, secret)?,
            Credentials::Token(token) => self.client_with_token(token)?,
        };
        if !client.scopes.contains(INTROSPECT) {
            return Err(Error::NotAllowed);
        }
        Ok(Caller { client: client.id, audiences: client.audiences })
    }

    /// An unknown client takes the same path as a known one: a look-up, a hash, a comparison.
    fn client_with_secret(&self, id: &str, secret: &str) -> Result<Client, Error> {
        let shown = SecretHash::of(secret);
        let client = match id.parse::<ClientId>() {
            Ok(id) => self.store.client(&id)?,
            Err(_) => None,
        };
        let nobodys = [SecretHash::from_bytes([0; 32])];
        let held = client.as_ref().map_or(&nobodys[..], |client| &client.secrets);
        let is_right = held.iter().fold(false, |right, hash| hash.is_same(&shown) | right);
        client
            .filter(|client| is_right && client.is_enabled)
            .ok_or(Error::Unauthenticated("unknown or disabled client, or wrong secret"))
    }

    fn client_with_token(&self, token: &str) -> Result<Client, Error> {
        let refused = Error::Unauthenticated("the service token is refused");
        let Ok(verified) =
            self.caller_verifier.verify(token, &self.public_keys(), self.revocations(), self.clock.now())
        else {
            return Err(refused);
        };
        let claims = verified.claims();
        if !claims.scope.contains(INTROSPECT) {
            return Err(Error::NotAllowed);
        }
        // A service token's subject is its client; a user's is not, and client ids are never UUIDs.
        let Ok(id) = claims.sub.as_str().parse::<ClientId>() else { return Err(refused) };
        self.store.client(&id)?.filter(|client| client.is_enabled).ok_or(refused)
    }
}

/// `application/x-www-form-urlencoded`, of one value. An `&` or `=` in it stands for itself: nothing is split there.
fn form_decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(pair: &str) -> Option<(String, String)> {
        match Credentials::parse(&format!("bAsIc {}", STANDARD.encode(pair)))? {
            Credentials::Secret { id, secret } => Some((id, secret.to_string())),
            Credentials::Token(_) => None,
        }
    }

    #[test]
    fn basic_credentials_are_form_decoded() {
        assert_eq!(basic("a:b"), Some(("a".into(), "b".into())));
        assert_eq!(basic("a%3Ab:c%2B+d:e"), Some(("a:b".into(), "c+ d:e".into())));
        assert_eq!(basic("a:%ff"), None);
        assert_eq!(basic("a"), None);
    }
}
