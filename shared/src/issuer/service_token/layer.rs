//! [`ServiceTokenLayer`]: puts the token on the calls of a tonic client. It is a layer, because an interceptor can't wait for a
//! token.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::{ServiceToken, ServiceTokenError, ServiceTokens};

/// Puts a token on each call: `client = Client::new(tokens.layer().layer(channel))`.
///
/// A call is not made again when its token is refused (`UNAUTHENTICATED`), for its messages may be a stream; the next one
/// goes with another token.
#[derive(Clone, Debug)]
pub struct ServiceTokenLayer(ServiceTokens);

/// A channel behind a [`ServiceTokenLayer`].
#[derive(Clone, Debug)]
pub struct WithServiceToken<S> {
    inner: S,
    tokens: ServiceTokens,
}

impl ServiceTokens {
    /// What puts a token on each call of a tonic client.
    #[must_use]
    pub fn layer(&self) -> ServiceTokenLayer {
        ServiceTokenLayer(self.clone())
    }

    /// Sees to it that a token which was refused is replaced, if another may help.
    fn replace(&self, refused: Arc<ServiceToken>) {
        let tokens = self.clone();
        tokio::spawn(async move { tokens.instead_of(&refused).await });
    }
}

impl<S> Layer<S> for ServiceTokenLayer {
    type Service = WithServiceToken<S>;

    fn layer(&self, inner: S) -> WithServiceToken<S> {
        WithServiceToken { inner, tokens: self.0.clone() }
    }
}

impl<S, B, A> Service<Request<B>> for WithServiceToken<S>
where
    S: Service<Request<B>, Response = Response<A>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    A: Default,
{
    type Response = Response<A>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<A>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let tokens = self.tokens.clone();
        // This service was polled and is ready; its clone may not be.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let token = match tokens.token().await {
                Ok(token) => token,
                Err(error) => return Ok(status(&error).into_http()),
            };
            request.headers_mut().insert(AUTHORIZATION, token.authorization().clone());
            let response = inner.call(request).await?;
            if is_unauthenticated(&response) {
                tokens.replace(token);
            }
            Ok(response)
        })
    }
}

/// A refusal has no messages: its status stands in the headers.
fn is_unauthenticated<A>(response: &Response<A>) -> bool {
    let status = Status::from_header_map(response.headers());
    response.status() == StatusCode::UNAUTHORIZED
        || status.is_some_and(|status| status.code() == Code::Unauthenticated)
}

fn status(error: &ServiceTokenError) -> Status {
    let message = format!("no service token: {error}");
    match error {
        ServiceTokenError::Unavailable(_) => Status::unavailable(message),
        ServiceTokenError::Unauthenticated | ServiceTokenError::Refused { .. } => {
            Status::unauthenticated(message)
        }
        ServiceTokenError::Malformed(_) | ServiceTokenError::Signing => Status::internal(message),
    }
}
