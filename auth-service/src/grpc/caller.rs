//! Authenticates the caller: by the metadata entry `authorization`, which may come once. It happens before a message is read,
//! so that a stranger's large message costs nothing.

use std::sync::Arc;

use tonic::{Extensions, Request, Status, metadata::MetadataMap, service::Interceptor};

use super::error;
use crate::ops::{
    AuthService,
    caller::{Caller, CallerError},
    error::Unauthenticated,
    oauth::authenticate_client::Credentials,
};

/// Refuses calls of strangers, and gives the handler the caller of others.
#[derive(Clone, Debug)]
pub struct Authenticate(pub Arc<AuthService>);

impl Interceptor for Authenticate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let caller = authenticate(&self.0, request.metadata()).map_err(error::caller)?;
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}

/// The caller, behind [`Authenticate`].
///
/// # Errors
/// UNAUTHENTICATED without that layer.
pub fn caller(extensions: &Extensions) -> Result<Caller, Status> {
    let caller = extensions.get::<Caller>().cloned();
    caller.ok_or_else(|| error::caller(Unauthenticated("no credentials").into()))
}

/// The caller, behind [`Authenticate`], if it may ask about tokens.
///
/// # Errors
/// As [`caller`], and `PERMISSION_DENIED` when it may not.
pub fn introspector(extensions: &Extensions) -> Result<Caller, Status> {
    let caller = caller(extensions)?;
    caller.check_may_introspect().map_err(error::caller)?;
    Ok(caller)
}

fn authenticate(auth: &AuthService, metadata: &MetadataMap) -> Result<Caller, CallerError> {
    let mut values = metadata.get_all("authorization").iter();
    let value = values.next().and_then(|value| value.to_str().ok());
    if values.next().is_some() {
        return Err(Unauthenticated("more than one authorization").into());
    }
    let credentials = value.and_then(Credentials::parse).ok_or(Unauthenticated("no credentials"))?;
    auth.clients.authenticate_caller(&credentials)
}
