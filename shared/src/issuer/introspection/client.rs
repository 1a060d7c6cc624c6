//! [`IntrospectionClient`]: asks the issuer, and tries again until its deadline. The caller decides what to do without an
//! answer.

use std::{fmt, pin::Pin, time::Duration};

use countermark_proto::auth_v1::{
    BatchIntrospectRequest, IntrospectRequest, introspection_client::IntrospectionClient as GrpcClient,
};
use http::{HeaderValue, header::AUTHORIZATION};
use tonic::{Request, Response, Status, transport::Channel};

use super::{IntrospectionConfig, IntrospectionError, InvalidConfig};
use crate::issuer::wire::claims::{self as wire, InvalidAnswer};
use crate::{
    clock::{Clock, SystemClock},
    random::{Random, SystemRandom},
    verify::{Claims, MAX_TOKEN_BYTES},
};

/// Largest number of tokens that the issuer takes in one call.
const MAX_BATCH: usize = 1_000;

/// Largest size of the tokens in one call. The issuer takes messages up to 4 MiB.
const MAX_BATCH_BYTES: usize = 3 * 1024 * 1024;

/// The longest answer that is read. Claims can be longer on the wire than in their tokens, mostly for custom numbers.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// Longest pause before the second try. It doubles from try to try. The real pause is between half of it and all of it, so
/// that many clients don't come back at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Asks the issuer whether tokens are alive. It connects at the first call, keeps the connection, and connects again when it
/// breaks. Clones share the connection.
#[derive(Clone)]
pub struct IntrospectionClient {
    grpc: GrpcClient<Channel>,
    authorization: HeaderValue,
    deadline: Duration,
    clock: SystemClock,
}

impl IntrospectionClient {
    /// Makes a client. Nothing is sent yet. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the setting that can't be used.
    pub fn new(config: &IntrospectionConfig) -> Result<Self, InvalidConfig> {
        let grpc =
            GrpcClient::new(config.endpoint()?.connect_lazy()).max_decoding_message_size(MAX_ANSWER_BYTES);
        let (authorization, deadline) = (config.authorization()?, config.deadline);
        Ok(Self { grpc, authorization, deadline, clock: SystemClock::new() })
    }

    /// The claims of an access token, if it is alive and for an audience of this client; otherwise `None`. A token of more than
    /// 8 KiB is inactive, and the issuer is not asked.
    ///
    /// # Errors
    /// [`IntrospectionError`] when there is no answer. Then nothing is known of the token.
    pub async fn introspect(&self, token: &str) -> Result<Option<Claims>, IntrospectionError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Ok(None);
        }
        let message = || IntrospectRequest { token: token.to_owned() };
        let answer =
            self.call(message, |mut grpc, request| async move { grpc.introspect(request).await }).await?;
        Ok(wire::claims(answer)?)
    }

    /// Asks about many tokens; the answers are in their order. More than 1,000 tokens need several calls, one after the other,
    /// each with its own deadline.
    ///
    /// # Errors
    /// [`IntrospectionError`] when one of the calls has no answer.
    pub async fn introspect_batch(&self, tokens: &[&str]) -> Result<Vec<Option<Claims>>, IntrospectionError> {
        let mut answers = Vec::with_capacity(tokens.len());
        let mut rest = tokens;
        while !rest.is_empty() {
            let (batch, others) = rest.split_at(batch_len(rest));
            answers.extend(self.one_batch(batch).await?);
            rest = others;
        }
        Ok(answers)
    }

    async fn one_batch(&self, tokens: &[&str]) -> Result<Vec<Option<Claims>>, IntrospectionError> {
        let is_asked = |token: &str| token.len() <= MAX_TOKEN_BYTES;
        let asked: Vec<&str> = tokens.iter().copied().filter(|token| is_asked(token)).collect();
        if asked.is_empty() {
            return Ok(vec![None; tokens.len()]);
        }
        let message =
            || BatchIntrospectRequest { tokens: asked.iter().map(|&token| token.to_owned()).collect() };
        let answer = self
            .call(message, |mut grpc, request| async move { grpc.batch_introspect(request).await })
            .await?;
        if answer.responses.len() != asked.len() {
            return Err(InvalidAnswer::Count.into());
        }
        let mut responses = answer.responses.into_iter();
        let answers = tokens.iter().map(|token| match is_asked(token).then(|| responses.next()).flatten() {
            Some(response) => Ok(wire::claims(response)?),
            None => Ok(None),
        });
        answers.collect()
    }

    /// Asks until there is an answer, or the deadline passes. The issuer gets the deadline too, so it does no work that nobody
    /// waits for.
    async fn call<M, A, F>(
        &self,
        message: impl Fn() -> M,
        ask: impl Fn(GrpcClient<Channel>, Request<M>) -> F,
    ) -> Result<A, IntrospectionError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let begun = self.clock.monotonic();
        let left = || self.deadline.saturating_sub(self.clock.monotonic().saturating_sub(begun));
        let tries = async {
            let mut pause = FIRST_PAUSE;
            loop {
                let mut request = Request::new(message());
                request.metadata_mut().as_mut().insert(AUTHORIZATION, self.authorization.clone());
                request.set_timeout(left());
                let error = match ask(self.grpc.clone(), request).await {
                    Ok(response) => return Ok(response.into_inner()),
                    Err(status) => IntrospectionError::from(status),
                };
                if !matches!(error, IntrospectionError::Unavailable(_)) || pause >= left() {
                    return Err(error);
                }
                tokio::time::sleep((&SystemRandom as &dyn Random).jittered(pause)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        tokio::time::timeout(self.deadline, tries).await.unwrap_or(Err(IntrospectionError::DeadlineExceeded))
    }
}

impl crate::issuer::LiveAnswer for IntrospectionClient {
    fn is_active<'a>(&'a self, token: &'a str) -> Pin<Box<dyn Future<Output = Option<bool>> + Send + 'a>> {
        Box::pin(async move {
            match self.introspect(token).await {
                Ok(claims) => Some(claims.is_some()),
                Err(error) => {
                    tracing::debug!(%error, "no answer about a token");
                    None
                }
            }
        })
    }
}

/// The number of the first `tokens` that fit into one call: at least one.
fn batch_len(tokens: &[&str]) -> usize {
    let mut bytes = 0;
    let fitting = tokens.iter().take(MAX_BATCH).take_while(|token| {
        // One that is too long isn't sent.
        bytes += if token.len() > MAX_TOKEN_BYTES { 0 } else { token.len() };
        bytes <= MAX_BATCH_BYTES
    });
    fitting.count().max(1)
}

impl fmt::Debug for IntrospectionClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionClient").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
