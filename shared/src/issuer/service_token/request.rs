//! The request to the token endpoint (RFC 6749 §4.4.2), and its answer.

use std::{error::Error, sync::Arc};

use http::{
    HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use reqwest::{Client, Response, Url};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{ClientKey, ServiceTokenError};
use crate::{clock::Timestamp, random::Random};

/// The type of an assertion (RFC 7523 §2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Largest answer that is read. An answer with a token is far smaller.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// What is asked each time.
pub(super) struct TokenRequest {
    pub(super) url: Url,
    pub(super) http: Client,
    pub(super) proof: ClientProof,
    pub(super) scope: Option<String>,
    pub(super) resources: Vec<String>,
}

/// How the client authenticates, ready to be sent.
pub(super) enum ClientProof {
    /// `client_secret_basic`: the value of the header.
    Secret(HeaderValue),
    /// `private_key_jwt`: the client's id, the issuer's name, and the key that signs.
    Key { client_id: String, issuer: String, key: Arc<ClientKey> },
}

/// A token, as it was answered (RFC 6749 §5.1).
#[derive(Deserialize)]
pub(super) struct Issued {
    pub(super) access_token: Zeroizing<String>,
    token_type: String,
    /// Seconds.
    pub(super) expires_in: u64,
    #[serde(default)]
    pub(super) scope: String,
}

#[derive(Deserialize)]
struct OAuthError {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl TokenRequest {
    /// Asks once.
    pub(super) async fn send(
        &self,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Issued, ServiceTokenError> {
        let form = self.form(now, random)?;
        let request = self.http.post(self.url.clone());
        let request = match &self.proof {
            ClientProof::Secret(basic) => request.header(AUTHORIZATION, basic),
            ClientProof::Key { .. } => request,
        };
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        let response = request.send().await.map_err(unavailable)?;
        let status = response.status();
        let body = body(response).await?;
        if status == StatusCode::OK { issued(&body) } else { Err(refused(status, &body)) }
    }

    fn form(&self, now: Timestamp, random: &dyn Random) -> Result<String, ServiceTokenError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.extend_pairs(self.scope.iter().map(|scope| ("scope", scope)));
        form.extend_pairs(self.resources.iter().map(|resource| ("resource", resource)));
        if let ClientProof::Key { client_id, issuer, key } = &self.proof {
            let assertion = key.assert(client_id, issuer, now, random).ok_or(ServiceTokenError::Signing)?;
            form.append_pair("client_assertion_type", JWT_BEARER);
            form.append_pair("client_assertion", &assertion);
        }
        Ok(form.finish())
    }
}

fn issued(body: &[u8]) -> Result<Issued, ServiceTokenError> {
    let issued: Issued =
        serde_json::from_slice(body).map_err(|_| ServiceTokenError::Malformed("no token in it"))?;
    if issued.token_type.eq_ignore_ascii_case("bearer") {
        Ok(issued)
    } else {
        Err(ServiceTokenError::Malformed("not a Bearer token"))
    }
}

fn refused(status: StatusCode, body: &[u8]) -> ServiceTokenError {
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return ServiceTokenError::Unavailable(format!("it answered {status}"));
    }
    match serde_json::from_slice(body) {
        Ok(OAuthError { error, .. }) if error == "invalid_client" => ServiceTokenError::Unauthenticated,
        Ok(OAuthError { error, error_description: description }) => {
            ServiceTokenError::Refused { error, description }
        }
        Err(_) => ServiceTokenError::Malformed("neither a token nor an error"),
    }
}

async fn body(mut response: Response) -> Result<Zeroizing<Vec<u8>>, ServiceTokenError> {
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(ServiceTokenError::Malformed("larger than 64 KiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The last cause says the most: "connection refused", where the error itself says that sending failed.
fn unavailable(error: reqwest::Error) -> ServiceTokenError {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    ServiceTokenError::Unavailable(cause.to_string())
}
