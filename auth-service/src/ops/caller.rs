//! A program that may ask about tokens or watch the revocations: a client with the scope `introspect` or `watch`.

use std::sync::Arc;

use countermark::{
    clock::Timestamp,
    verify::{Audiences, KeySet, Revocations, Scope, Signed},
};
use zeroize::Zeroizing;

use super::error::Unauthenticated;
use crate::{
    config::WatchScope,
    domain::{
        audience::{INTROSPECT, WATCH},
        client::{Client, ClientId},
        registry::Registry,
        secret::SecretHash,
    },
};

/// A client that proved its identity, and has one of the scopes.
#[derive(Clone, Debug)]
pub struct Caller {
    client: Arc<Client>,
    proof: Proof,
    /// Whether the scope `watch` is the issuer's. An older version let an audience own it: then it permits nothing here.
    has_watch_scope: bool,
}

/// How a client proved its identity.
#[derive(Clone, Debug)]
pub(in crate::ops) enum Proof {
    /// By a secret.
    Secret(SecretHash),
    /// By a service token, which may have fewer scopes than the client.
    Token(Arc<ServiceToken>),
    /// By an assertion, which is spent.
    Assertion,
}

/// A service token that was verified.
pub(in crate::ops) struct ServiceToken {
    pub(in crate::ops) text: Zeroizing<String>,
    pub(in crate::ops) scope: Scope,
}

/// A program may not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// It did not prove which client it is.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    /// Its client lacks the scope, or its token does.
    #[error("the caller lacks the scope {0}: its client, or its token")]
    NotAllowed(&'static str),
}

impl Caller {
    /// The caller that `client` is. The client has proved its identity.
    pub(in crate::ops) fn new(
        client: Arc<Client>,
        proof: Proof,
        registry: &Registry,
    ) -> Result<Self, CallerError> {
        let caller = Self { client, proof, has_watch_scope: registry.is_built_in(WATCH) };
        let is_caller = caller.may_watch() || caller.has(INTROSPECT);
        if is_caller { Ok(caller) } else { Err(CallerError::NotAllowed("introspect or watch")) }
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        &self.client.id
    }

    /// Checks that it may ask about tokens.
    ///
    /// # Errors
    /// [`CallerError::NotAllowed`] when it may not.
    pub fn check_may_introspect(&self) -> Result<(), CallerError> {
        if self.has(INTROSPECT) { Ok(()) } else { Err(CallerError::NotAllowed(INTROSPECT)) }
    }

    /// Checks that it may watch the revocations.
    pub(in crate::ops) fn check_may_watch(&self, needed: WatchScope) -> Result<(), CallerError> {
        let may = self.may_watch() || needed == WatchScope::Warn && self.has(INTROSPECT);
        if may { Ok(()) } else { Err(CallerError::NotAllowed(WATCH)) }
    }

    /// Whether it has the scope `watch`.
    pub(in crate::ops) fn may_watch(&self) -> bool {
        self.has_watch_scope && self.has(WATCH)
    }

    /// The service token that it showed, if any, with the key that signed it.
    pub(in crate::ops) fn signed_token(&self, keys: &KeySet) -> Result<Option<Signed>, CallerError> {
        match &self.proof {
            Proof::Token(token) => match Signed::read(&token.text, keys) {
                Ok(signed) => Ok(Some(signed)),
                Err(_) => Err(Unauthenticated("the service token is refused").into()),
            },
            Proof::Secret(_) | Proof::Assertion => Ok(None),
        }
    }

    /// The caller as it is now. On a stream that has gone on for a while, the client may have been disabled since, its secret
    /// retired, or its token revoked or expired.
    pub(in crate::ops) fn checked_again(
        &self,
        token: Option<&Signed>,
        registry: &Registry,
        revocations: &Revocations,
        now: Timestamp,
    ) -> Result<Self, CallerError> {
        let client = registry.client(self.client()).filter(|client| client.is_enabled);
        let client = client.ok_or(Unauthenticated("the client was disabled"))?;
        if let Proof::Secret(shown) = &self.proof
            && !client.secrets.iter().any(|held| held.is_same(shown))
        {
            return Err(Unauthenticated("the client's secret was retired").into());
        }
        if token.is_some_and(|token| revocations.read(|set| set.revokes(token))) {
            return Err(Unauthenticated("the service token was revoked").into());
        }
        if token.is_some_and(|token| token.claims().exp.unix_seconds() <= now.unix_seconds()) {
            return Err(Unauthenticated("the service token has expired").into());
        }
        Self::new(Arc::clone(client), self.proof.clone(), registry)
    }

    /// Whether it may ask about a token for `audiences`.
    #[must_use]
    pub fn may_know_of(&self, audiences: &Audiences) -> bool {
        self.client.audiences.iter().any(|audience| audiences.contains(audience))
    }

    fn has(&self, scope: &str) -> bool {
        let is_in_token = match &self.proof {
            Proof::Token(token) => token.scope.contains(scope),
            Proof::Secret(_) | Proof::Assertion => true,
        };
        is_in_token && self.client.scopes.contains(scope)
    }
}

impl std::fmt::Debug for ServiceToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceToken").field("scope", &self.scope).finish_non_exhaustive()
    }
}
