//! Clients and audiences, as an operator registers them.

use std::sync::Arc;

use countermark::verify::{Audience, NumericDate, Revocation, Scope};

use crate::{
    config::WatchScope,
    domain::{
        audience::{INTROSPECT, RegisteredAudience, WATCH, is_built_in},
        audit::{AuditEntry, Event},
        client::{Client, ClientId},
        secret::Secret,
        session::Device,
    },
    ops::{
        AuthService,
        error::{Fault, NotRegistered, has_faults},
        operator::by_whom,
        watch::barrier::Revoked,
    },
    store::audiences::{NotRemoved, ScopeTaken},
};

/// A client is not registered.
#[derive(Debug, thiserror::Error)]
pub enum AddClientError {
    /// It names a scope or an audience that is not registered.
    #[error(transparent)]
    NotRegistered(#[from] NotRegistered),
    /// Another client has the id.
    #[error("there is a client of that id")]
    ClientExists,
    /// There is no client of that id any more.
    #[error("there is no client of that id any more")]
    ClientGone,
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

/// An audience is not registered.
#[derive(Debug, thiserror::Error)]
pub enum PutAudienceError {
    /// Another audience owns one of the scopes.
    #[error(transparent)]
    Taken(#[from] ScopeTaken),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

/// An audience is not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveAudienceError {
    /// Tokens of logins are for it.
    #[error("AUTH_AUDIENCE names it; take it out there first")]
    OfLogins,
    /// It is not there, or in use.
    #[error(transparent)]
    NotRemoved(#[from] NotRemoved),
    /// The service failed.
    #[error(transparent)]
    Fault(Fault),
}

has_faults!(AddClientError, PutAudienceError, RemoveAudienceError);

/// The prefix of each client secret.
const PREFIX: &str = "cs_";

impl AuthService {
    /// Registers a client. It gets a secret, unless it signs assertions. The secret can't be shown again.
    pub async fn add_client(&self, mut client: Client) -> Result<Option<Secret>, AddClientError> {
        self.context.registry.catch_up()?;
        self.check_scopes(&client.scopes)?;
        let registry = self.context.registry.now();
        if let Some(id) = client.audiences.iter().find(|id| !registry.has_audience(id)) {
            return Err(NotRegistered::Audience(id.to_string()).into());
        }
        let secret =
            client.jwks.is_none().then(|| Secret::random(PREFIX, &*self.context.random)).transpose()?;
        client.secrets = secret.iter().map(Secret::hash).collect();
        let why = self.about_client(Event::ClientAdded, &client.id);
        if !self.context.store.add_client(client, self.context.clock.now(), why).await? {
            return Err(AddClientError::ClientExists);
        }
        self.context.registry.catch_up()?;
        Ok(secret)
    }

    /// Gives a client more scopes.
    pub async fn add_client_scopes(&self, client: &Client, more: Scope) -> Result<(), AddClientError> {
        self.context.registry.catch_up()?;
        self.check_scopes(&more)?;
        let why = self.about_client(Event::ClientScopesAdded, &client.id);
        let why = AuditEntry { detail: Some(format!("{}: {more}", by_whom())), ..why };
        if !self.context.store.add_client_scopes(client.id.clone(), more, why).await? {
            return Err(AddClientError::ClientGone);
        }
        Ok(self.context.registry.catch_up()?)
    }

    fn check_scopes(&self, scopes: &Scope) -> Result<(), NotRegistered> {
        let registry = self.context.registry.now();
        let is_unknown = |scope: &&str| !is_built_in(scope) && registry.owner(scope).is_none();
        match scopes.iter().find(is_unknown) {
            Some(scope) => Err(NotRegistered::Scope(scope.to_owned())),
            None => Ok(()),
        }
    }

    /// The clients that may watch by the scope `introspect` alone. They need the scope `watch` before it is required.
    #[must_use]
    pub fn clients_without_the_watch_scope(&self) -> Vec<ClientId> {
        let watches_by_the_other = |client: &Client| {
            client.is_enabled && client.scopes.contains(INTROSPECT) && !client.scopes.contains(WATCH)
        };
        let clients = self.context.registry.now().clients();
        clients.iter().filter(|client| watches_by_the_other(client)).map(|client| client.id.clone()).collect()
    }

    /// The audiences that own a scope which is built in now. An older version let them.
    #[must_use]
    pub fn owners_of_built_in_scopes(&self) -> Vec<(Audience, &'static str)> {
        let registry = self.context.registry.now();
        registry.owners_of_built_in().map(|(audience, scope)| (audience.clone(), scope)).collect()
    }

    /// Whether clients may watch without that scope.
    #[must_use]
    pub fn watch_scope(&self) -> WatchScope {
        self.context.policy.watch_scope
    }

    /// Every client, by id.
    #[must_use]
    pub fn clients(&self) -> Vec<Arc<Client>> {
        self.context.registry.now().clients()
    }

    /// The client of that id.
    #[must_use]
    pub fn client(&self, id: &str) -> Option<Arc<Client>> {
        self.context.registry.now().client(&id.parse().ok()?).cloned()
    }

    /// Gives a client another secret. The one before stays good until [`finish_rotation`](Self::finish_rotation), or the
    /// next rotation.
    pub async fn rotate_secret(&self, client: &Client) -> Result<Secret, Fault> {
        let secret = Secret::random(PREFIX, &*self.context.random)?;
        let why = self.about_client(Event::ClientSecretRotated, &client.id);
        self.context
            .store
            .rotate_secret(client.id.clone(), Some(secret.hash()), self.context.clock.now(), why)
            .await?;
        self.context.registry.catch_up()?;
        Ok(secret)
    }

    /// Takes away all secrets of a client but the newest.
    pub async fn finish_rotation(&self, client: &Client) -> Result<(), Fault> {
        let why = self.about_client(Event::ClientSecretRetired, &client.id);
        self.context.store.rotate_secret(client.id.clone(), None, self.context.clock.now(), why).await?;
        Ok(self.context.registry.catch_up()?)
    }

    /// Disables a client: it can't authenticate, and its tokens are revoked.
    pub async fn disable_client(&self, client: &Client) -> Result<(), Fault> {
        let now = self.context.clock.now();
        let subject = client.id.as_str().parse().map_err(|_| Fault::Defect("a client's id is no subject"))?;
        let revocation = Revocation::Client(subject, NumericDate::from_unix_seconds(now.unix_seconds()));
        let why = self.about_client(Event::ClientDisabled, &client.id);
        let entry =
            self.context.store.set_client_enabled(client.id.clone(), Some(revocation), now, why).await?;
        self.context.feed.apply(entry.as_slice());
        Ok(self.context.registry.catch_up()?)
    }

    /// Revokes the access tokens that a client has, those that users got through it included. It can get new ones.
    pub async fn revoke_client_tokens(&self, id: &ClientId) -> Result<Revoked, Fault> {
        let now = self.context.clock.now();
        let subject = id.as_str().parse().map_err(|_| Fault::Defect("a client's id is no subject"))?;
        let revocation = Revocation::Client(subject, NumericDate::from_unix_seconds(now.unix_seconds()));
        let why = self.about_client(Event::ClientTokensRevoked, id);
        let entry = self.context.store.revoke(revocation, now, why).await?;
        Ok(self.context.applied(&[entry])?)
    }

    /// Enables it again. Its tokens stay revoked.
    pub async fn enable_client(&self, client: &Client) -> Result<(), Fault> {
        let why = self.about_client(Event::ClientEnabled, &client.id);
        self.context.store.set_client_enabled(client.id.clone(), None, self.context.clock.now(), why).await?;
        Ok(self.context.registry.catch_up()?)
    }

    /// Removes a client: it can't authenticate, and its tokens are revoked. `None` when there is no such client.
    pub async fn remove_client(&self, id: &ClientId) -> Result<Option<Revoked>, Fault> {
        let now = self.context.clock.now();
        let subject = id.as_str().parse().map_err(|_| Fault::Defect("a client's id is no subject"))?;
        let revocation = Revocation::Client(subject, NumericDate::from_unix_seconds(now.unix_seconds()));
        let why = self.about_client(Event::ClientRemoved, id);
        let entry = self.context.store.remove_client(id.clone(), revocation, now, why).await?;
        self.context.registry.catch_up()?;
        Ok(entry.map(|entry| self.context.applied(&[entry])).transpose()?)
    }

    /// Removes an audience that nobody uses, with its scopes. Tokens that are for it live on until they expire.
    pub async fn remove_audience(&self, id: Audience) -> Result<(), RemoveAudienceError> {
        if self.context.policy.audiences.contains(&id) {
            return Err(RemoveAudienceError::OfLogins);
        }
        let mut why = self.context.audit(Event::AudienceRemoved, &Device::default());
        why.detail = Some(format!("{}: {id}", by_whom()));
        self.context.store.remove_audience(id, why).await??;
        Ok(self.context.registry.catch_up()?)
    }

    /// Registers an audience, or gives a registered one other scopes.
    pub async fn put_audience(&self, audience: RegisteredAudience) -> Result<(), PutAudienceError> {
        let mut why = self.context.audit(Event::AudienceRegistered, &Device::default());
        why.detail = Some(format!("{}: {}", by_whom(), audience.id));
        self.context.store.put_audience(audience, Some(why)).await??;
        Ok(self.context.registry.catch_up()?)
    }

    /// Every audience, by id.
    #[must_use]
    pub fn audiences(&self) -> Vec<RegisteredAudience> {
        self.context.registry.now().audiences().to_vec()
    }

    fn about_client(&self, event: Event, client: &ClientId) -> AuditEntry {
        let entry = self.context.audit(event, &Device::default());
        AuditEntry { client: Some(client.clone()), detail: Some(by_whom().to_owned()), ..entry }
    }
}
