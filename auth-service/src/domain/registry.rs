//! All registered audiences and clients, in memory. Tokens are issued and verified without reading any of this from
//! the database.

use std::{collections::HashMap, sync::Arc};

use countermark::verify::{Audience, Scope};

use super::{
    audience::{BUILT_IN, RegisteredAudience, is_built_in},
    client::{Client, ClientId},
};

/// The registered audiences and clients.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    audiences: Vec<RegisteredAudience>,
    owners: HashMap<Box<str>, Audience>,
    clients: HashMap<ClientId, Arc<Client>>,
}

impl Registry {
    /// A registry of the given audiences and clients.
    #[must_use]
    pub fn new(audiences: Vec<RegisteredAudience>, clients: Vec<Client>) -> Self {
        let owned = audiences
            .iter()
            .flat_map(|audience| audience.scopes.iter().map(|scope| (scope.into(), audience.id.clone())));
        Self {
            owners: owned.collect(),
            clients: clients.into_iter().map(|client| (client.id.clone(), Arc::new(client))).collect(),
            audiences,
        }
    }

    /// The client with this id, enabled or disabled.
    #[must_use]
    pub fn client(&self, id: &ClientId) -> Option<&Arc<Client>> {
        self.clients.get(id)
    }

    /// All clients, ordered by id.
    #[must_use]
    pub fn clients(&self) -> Vec<Arc<Client>> {
        let mut clients: Vec<_> = self.clients.values().cloned().collect();
        clients.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
        clients
    }

    /// All audiences, ordered by id.
    #[must_use]
    pub fn audiences(&self) -> &[RegisteredAudience] {
        &self.audiences
    }

    /// `true` when this audience is registered.
    #[must_use]
    pub fn has_audience(&self, id: &Audience) -> bool {
        self.audiences.iter().any(|audience| audience.id == *id)
    }

    /// The audience that owns a scope.
    #[must_use]
    pub fn owner(&self, scope: &str) -> Option<&Audience> {
        self.owners.get(scope)
    }

    /// Whether a scope is built in. One that an audience owns is not: an older version let it.
    #[must_use]
    pub fn is_built_in(&self, scope: &str) -> bool {
        is_built_in(scope) && self.owner(scope).is_none()
    }

    /// The audiences that own a scope which is built in, each with that scope.
    pub fn owners_of_built_in(&self) -> impl Iterator<Item = (&Audience, &'static str)> {
        BUILT_IN.into_iter().filter_map(|scope| Some((self.owner(scope)?, scope)))
    }

    /// The scopes that a login grants by default for these audiences, in their order.
    #[must_use]
    pub fn default_scopes(&self, audiences: &[Audience]) -> Scope {
        let registered = |id: &Audience| self.audiences.iter().find(|audience| audience.id == *id);
        let defaults = audiences.iter().filter_map(registered).map(|audience| &audience.default_scopes);
        defaults.fold(Scope::default(), Scope::union)
    }
}
