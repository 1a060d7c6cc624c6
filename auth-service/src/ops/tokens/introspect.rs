//! Introspection: whether a token is alive, for a program that may ask (RFC 7662).

use std::{collections::HashMap, sync::Arc};

use countermark::verify::{Claims, Issuer};
use serde::Serialize;

use super::Tokens;
use crate::ops::{Fault, caller::Caller};

/// The most tokens that one call may ask about.
pub const MAX_BATCH: usize = 1_000;

/// A call about several tokens was not answered.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// It asks about more than [`MAX_BATCH`] tokens.
    #[error("more than {MAX_BATCH} tokens in one call")]
    TooMany,
    /// The service failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Tokens {
    /// The claims of `token`, if it is alive and for an audience of the caller. `None` for any other token, so that
    /// nothing is learned about it.
    ///
    /// # Errors
    /// [`Fault::Store`] when it can't be read what other processes have revoked.
    pub fn introspect(&self, caller: &Caller, token: &str) -> Result<Option<Arc<Claims>>, Fault> {
        self.context.feed.keep_within_lag()?;
        Ok(self.introspect_in_memory(caller, token))
    }

    fn introspect_in_memory(&self, caller: &Caller, token: &str) -> Option<Arc<Claims>> {
        match self.verify(&self.verifier, token) {
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

    /// Signs an introspection's answer for the caller (RFC 9701 §5).
    pub fn sign_introspection(&self, caller: &Caller, answer: &impl Serialize) -> Result<String, Fault> {
        #[derive(Serialize)]
        struct Signed<'a, A> {
            iss: &'a Issuer,
            aud: &'a str,
            iat: i64,
            token_introspection: &'a A,
        }

        let signed = Signed {
            iss: &self.context.policy.issuer,
            aud: caller.client().as_str(),
            iat: self.context.clock.now().unix_seconds(),
            token_introspection: answer,
        };
        self.keys.sign_as("token-introspection+jwt", &signed)
    }

    /// Introspects several tokens. The answers come in their order. A token that comes several times is verified once.
    ///
    /// # Errors
    /// [`BatchError::TooMany`] when there are more than [`MAX_BATCH`]. [`BatchError::Fault`] when it can't be read what other
    /// processes have revoked.
    pub fn introspect_batch(
        &self,
        caller: &Caller,
        tokens: &[String],
    ) -> Result<Vec<Option<Arc<Claims>>>, BatchError> {
        if tokens.len() > MAX_BATCH {
            return Err(BatchError::TooMany);
        }
        self.context.feed.keep_within_lag().map_err(Fault::from)?;
        let mut first = HashMap::with_capacity(tokens.len());
        let mut answers: Vec<Option<Arc<Claims>>> = Vec::with_capacity(tokens.len());
        for (place, token) in tokens.iter().enumerate() {
            let same = *first.entry(token.as_str()).or_insert(place);
            let answer =
                if same < place { answers[same].clone() } else { self.introspect_in_memory(caller, token) };
            answers.push(answer);
        }
        Ok(answers)
    }
}
