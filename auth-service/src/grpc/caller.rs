//! Authenticates the caller: by the metadata entry `authorization`, which may come once.

use tonic::metadata::MetadataMap;

use crate::ops::{
    AuthService,
    caller::{Caller, CallerError},
    error::Unauthenticated,
    oauth::authenticate_client::Credentials,
};

/// The caller. It authenticates before its request is looked at.
///
/// # Errors
/// [`CallerError`] when it may not ask.
pub fn caller(auth: &AuthService, metadata: &MetadataMap) -> Result<Caller, CallerError> {
    let mut values = metadata.get_all("authorization").iter();
    let value = values.next().and_then(|value| value.to_str().ok());
    if values.next().is_some() {
        return Err(Unauthenticated("more than one authorization").into());
    }
    let credentials = value.and_then(Credentials::parse).ok_or(Unauthenticated("no credentials"))?;
    auth.clients.authenticate_caller(&credentials)
}
