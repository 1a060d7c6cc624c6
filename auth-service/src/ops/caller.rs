//! A program that may ask about tokens and watch revocations: a client with the scope `introspect`.

use std::sync::Arc;

use countermark::verify::Audiences;

use super::error::Unauthenticated;
use crate::domain::{
    audience::INTROSPECT,
    client::{Client, ClientId},
    registry::Registry,
};

/// A client that proved its identity and has the scope `introspect`.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Client>);

/// A program may not ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// It did not prove which client it is.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    /// Its client lacks the scope.
    #[error("the caller lacks the scope introspect")]
    NotAllowed,
}

impl Caller {
    /// The caller that `client` is. The client has proved its identity.
    pub(in crate::ops) fn new(client: Arc<Client>) -> Result<Self, CallerError> {
        if client.scopes.contains(INTROSPECT) { Ok(Self(client)) } else { Err(CallerError::NotAllowed) }
    }

    /// The caller `id` as it is now: on a stream that has gone on for a while, the client may have been disabled since,
    /// or may have lost the scope.
    pub(in crate::ops) fn still(registry: &Registry, id: &ClientId) -> Result<Self, CallerError> {
        let client = registry.client(id).filter(|client| client.is_enabled).cloned();
        Self::new(client.ok_or(Unauthenticated("the client was disabled"))?)
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &ClientId {
        &self.0.id
    }

    /// Whether it may ask about a token for `audiences`.
    #[must_use]
    pub fn may_know_of(&self, audiences: &Audiences) -> bool {
        self.0.audiences.iter().any(|audience| audiences.contains(audience))
    }
}
