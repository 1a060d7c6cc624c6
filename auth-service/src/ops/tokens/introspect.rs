//! Introspection: whether a token is alive, for a program that may ask (RFC 7662).

use std::{collections::HashMap, sync::Arc};

use countermark::verify::{Claims, Issuer};
use serde::Serialize;

use crate::ops::{AuthService, Error, oauth::authenticate_client::Caller};

/// The most tokens that one call may ask about.
pub const MAX_BATCH: usize = 1_000;

impl AuthService {
    /// The claims of `token`, if it is alive and for an audience of the caller's; `None` for whatever else it is, so that
    /// nothing is learned about it.
    #[must_use]
    pub fn introspect(&self, caller: &Caller, token: &str) -> Option<Arc<Claims>> {
        match self.verified(&self.verifier, token) {
            Ok(verified) => {
                let claims = verified.into_claims();
                caller.may_know_of(&claims.aud).then_some(claims)
            }
            Err(reason) => {
                tracing::debug!(client.id = %caller.client(), %reason, "token inactive");
                None
            }
        }
    }

    /// An introspection's answer, signed for the caller (RFC 9701 §5).
    ///
    /// # Errors
    /// [`Error::Signing`] when the library fails.
    pub fn sign_introspection(&self, caller: &Caller, answer: &impl Serialize) -> Result<String, Error> {
        #[derive(Serialize)]
        struct Signed<'a, A> {
            iss: &'a Issuer,
            aud: &'a str,
            iat: i64,
            token_introspection: &'a A,
        }

        let signed = Signed {
            iss: &self.policy.issuer,
            aud: caller.client().as_str(),
            iat: self.clock.now().unix_seconds(),
            token_introspection: answer,
        };
        Ok(self.keys.ring.sign_as("token-introspection+jwt", &signed)?)
    }

    /// The same for several tokens; answers come in their order. One that comes several times is judged once.
    ///
    /// # Errors
    /// [`Error::TooMany`] when there are more than [`MAX_BATCH`].
    pub fn introspect_batch(
        &self,
        caller: &Caller,
        tokens: &[String],
    ) -> Result<Vec<Option<Arc<Claims>>>, Error> {
        if tokens.len() > MAX_BATCH {
            return Err(Error::TooMany(MAX_BATCH));
        }
        let mut first = HashMap::with_capacity(tokens.len());
        let mut answers: Vec<Option<Arc<Claims>>> = Vec::with_capacity(tokens.len());
        for (place, token) in tokens.iter().enumerate() {
            let same = *first.entry(token.as_str()).or_insert(place);
            let answer = if same < place { answers[same].clone() } else { self.introspect(caller, token) };
            answers.push(answer);
        }
        Ok(answers)
    }
}
