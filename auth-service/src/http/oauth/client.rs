//! How a client authenticates (RFC 6749 §2.3): `client_secret_basic`, `client_secret_post`, `private_key_jwt`
//! (RFC 7523 §2.2), or its id alone. One way at a time.

use axum::http::header;
use zeroize::Zeroizing;

use super::{error::OAuthError, form::Form};
use crate::ops::{error::Unauthenticated, oauth::authenticate_client::Credentials};

/// The only type of assertion.
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The client credentials of a request.
///
/// # Errors
/// 400 `invalid_request` when it authenticates in two ways, or in half of one; 401 `invalid_client` when in none.
pub fn credentials(form: &Form) -> Result<Credentials, OAuthError> {
    let id = form.one("client_id");
    let secret = form.one("client_secret");
    let assertion = form.one("client_assertion");
    let header = in_header(form)?;
    if usize::from(header.is_some()) + usize::from(secret.is_some()) + usize::from(assertion.is_some()) > 1 {
        return Err(OAuthError::invalid_request("The client authenticates in more than one way; use one"));
    }
    if let Some(credentials) = header {
        return Ok(agree(id, credentials?)?);
    }
    if let Some(assertion) = assertion {
        return match form.one("client_assertion_type") {
            Some(JWT_BEARER) => Ok(agree(id, Credentials::Assertion(Zeroizing::new(assertion.to_owned())))?),
            _ => Err(OAuthError::invalid_request(format!("client_assertion_type must be {JWT_BEARER}"))),
        };
    }
    match (id, secret) {
        (Some(id), Some(secret)) => {
            Ok(Credentials::Secret { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) })
        }
        (Some(id), None) => Ok(Credentials::Public(id.to_owned())),
        (None, Some(_)) => Err(OAuthError::invalid_request("client_secret comes without client_id")),
        (None, None) => Err(Unauthenticated("no credentials").into()),
    }
}

fn in_header(form: &Form) -> Result<Option<Result<Credentials, Unauthenticated>>, OAuthError> {
    let mut values = form.headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(OAuthError::invalid_request("The request has more than one Authorization header"));
    }
    let credentials = value.to_str().ok().and_then(Credentials::parse);
    Ok(Some(credentials.ok_or(Unauthenticated("credentials that can't be read"))))
}

/// A `client_id` beside other credentials must name the same client.
fn agree(id: Option<&str>, credentials: Credentials) -> Result<Credentials, Unauthenticated> {
    match (id, credentials.client_id()) {
        (Some(one), Some(other)) if one != other => Err(Unauthenticated("two clients in one request")),
        _ => Ok(credentials),
    }
}
