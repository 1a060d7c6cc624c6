//! Clients and audiences, as an operator registers them.

use std::sync::Arc;

use countermark::verify::{NumericDate, Revocation};

use crate::domain::{
    audience::{INTROSPECT, RegisteredAudience},
    audit::{AuditEntry, Event},
    client::{Client, ClientId},
    secret::Secret,
    session::Device,
};
use crate::ops::{AuthService, Error, admin::accounts::OPERATOR, error::NotRegistered};

/// What the secret of a client begins with.
const PREFIX: &str = "cs_";

impl AuthService {
    /// Registers a client; with a secret, unless it signs instead. The secret can't be had again.
    ///
    /// # Errors
    /// [`Error::ClientExists`]; [`Error::NotRegistered`] when it is to have a scope or an audience that nobody registered.
    pub async fn add_client(&self, mut client: Client) -> Result<Option<Secret>, Error> {
        self.registry.catch_up()?;
        let registry = self.registry.now();
        let is_unknown = |scope: &&str| *scope != INTROSPECT && registry.owner(scope).is_none();
        if let Some(scope) = client.scopes.iter().find(is_unknown) {
            return Err(NotRegistered::Scope(scope.to_owned()).into());
        }
        if let Some(id) = client.audiences.iter().find(|id| !registry.has_audience(id)) {
            return Err(NotRegistered::Audience(id.to_string()).into());
        }
        let secret = client.jwks.is_none().then(|| Secret::random(PREFIX, &*self.random)).transpose()?;
        client.secrets = secret.iter().map(Secret::hash).collect();
        let why = self.about_client(Event::ClientAdded, &client.id);
        if !self.store.add_client(client, self.clock.now(), why).await? {
            return Err(Error::ClientExists);
        }
        self.registry.catch_up()?;
        Ok(secret)
    }

    /// Every client, by id.
    #[must_use]
    pub fn clients(&self) -> Vec<Arc<Client>> {
        self.registry.now().clients()
    }

    /// The client of that id.
    ///
    /// # Errors
    /// [`Error::NoSuchClient`] when there is none.
    pub fn client(&self, id: &str) -> Result<Arc<Client>, Error> {
        let id = id.parse().map_err(|_| Error::NoSuchClient)?;
        self.registry.now().client(&id).cloned().ok_or(Error::NoSuchClient)
    }

    /// Gives a client another secret. The one before stays good until [`finish_rotation`](Self::finish_rotation), or the
    /// next rotation.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub async fn rotate_secret(&self, client: &Client) -> Result<Secret, Error> {
        let secret = Secret::random(PREFIX, &*self.random)?;
        let why = self.about_client(Event::ClientSecretRotated, &client.id);
        self.store.rotate_secret(client.id.clone(), Some(secret.hash()), self.clock.now(), why).await?;
        self.registry.catch_up()?;
        Ok(secret)
    }

    /// Takes away all secrets of a client but the newest.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails.
    pub async fn finish_rotation(&self, client: &Client) -> Result<(), Error> {
        let why = self.about_client(Event::ClientSecretRetired, &client.id);
        self.store.rotate_secret(client.id.clone(), None, self.clock.now(), why).await?;
        Ok(self.registry.catch_up()?)
    }

    /// Disables a client: it can't authenticate, and its tokens are revoked.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails; then nothing has changed.
    pub async fn disable_client(&self, client: &Client) -> Result<(), Error> {
        let now = self.clock.now();
        let subject = client.id.as_str().parse().map_err(|_| Error::Defect("a client's id is no subject"))?;
        let revocation = Revocation::Client(subject, NumericDate::from_unix_seconds(now.unix_seconds()));
        let why = self.about_client(Event::ClientDisabled, &client.id);
        let entry = self.store.set_client_enabled(client.id.clone(), Some(revocation), now, why).await?;
        self.feed.apply(entry.as_slice());
        Ok(self.registry.catch_up()?)
    }

    /// Enables it again. Its tokens stay revoked.
    ///
    /// # Errors
    /// [`Error::Store`] when the database fails; then nothing has changed.
    pub async fn enable_client(&self, client: &Client) -> Result<(), Error> {
        let why = self.about_client(Event::ClientEnabled, &client.id);
        self.store.set_client_enabled(client.id.clone(), None, self.clock.now(), why).await?;
        Ok(self.registry.catch_up()?)
    }

    /// Registers an audience, or gives a registered one other scopes.
    ///
    /// # Errors
    /// [`Error::NotRegistered`] when another audience owns one of them.
    pub async fn put_audience(&self, audience: RegisteredAudience) -> Result<(), Error> {
        let mut why = self.audit(Event::AudienceRegistered, &Device::default());
        why.detail = Some(format!("{OPERATOR}: {}", audience.id));
        let put = self.store.put_audience(audience, Some(why)).await?;
        put.map_err(NotRegistered::from)?;
        Ok(self.registry.catch_up()?)
    }

    /// Every audience, by id.
    #[must_use]
    pub fn audiences(&self) -> Vec<RegisteredAudience> {
        self.registry.now().audiences().to_vec()
    }

    fn about_client(&self, event: Event, client: &ClientId) -> AuditEntry {
        let entry = self.audit(event, &Device::default());
        AuditEntry { client: Some(client.clone()), detail: Some(OPERATOR.to_owned()), ..entry }
    }
}
