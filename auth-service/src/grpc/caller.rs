//! Who is calling: the metadata entry `authorization`, once.

use tonic::metadata::MetadataMap;

use crate::ops::{
    AuthService, Error,
    oauth::authenticate_client::{Caller, Credentials},
};

/// The caller, which authenticates before anything of its request is looked at.
///
/// # Errors
/// [`Error::Unauthenticated`] and [`Error::NotAllowed`].
pub fn caller(auth: &AuthService, metadata: &MetadataMap) -> Result<Caller, Error> {
    let mut values = metadata.get_all("authorization").iter();
    let value = values.next().and_then(|value| value.to_str().ok());
    if values.next().is_some() {
        return Err(Error::Unauthenticated("more than one authorization"));
    }
    let credentials = value.and_then(Credentials::parse).ok_or(Error::Unauthenticated("no credentials"))?;
    auth.authenticate_caller(&credentials)
}
