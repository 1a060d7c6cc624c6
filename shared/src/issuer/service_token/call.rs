//! Puts the token on a reqwest request.

use http::{StatusCode, header::AUTHORIZATION};
use reqwest::{RequestBuilder, Response};

use super::{ServiceTokenError, ServiceTokens};

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// There is no token to make it with; nothing was sent.
    #[error("no service token: {0}")]
    Token(#[from] ServiceTokenError),
    /// The call itself failed.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

impl ServiceTokens {
    /// Sends the request with a token. When it is answered 401, and its body can be sent again, it is sent once more with a
    /// new token: the first may have been revoked, or its key. A token that is younger than ten seconds is not replaced.
    ///
    /// # Errors
    /// [`CallError`] when there is no token, or no answer. An answer of any status is an answer.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, CallError> {
        let (client, request) = request.build_split();
        let mut request = request?;
        let again = request.try_clone();
        let token = self.token().await?;
        request.headers_mut().insert(AUTHORIZATION, token.authorization().clone());
        let response = client.execute(request).await?;
        let (StatusCode::UNAUTHORIZED, Some(mut again)) = (response.status(), again) else {
            return Ok(response);
        };
        let Some(token) = self.instead_of(&token).await else { return Ok(response) };
        again.headers_mut().insert(AUTHORIZATION, token.authorization().clone());
        Ok(client.execute(again).await?)
    }
}
