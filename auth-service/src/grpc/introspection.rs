//! `auth.v1.Introspection`

use std::sync::Arc;

use countermark::issuer::wire::claims as wire;
use countermark_proto::auth_v1::{
    BatchIntrospectRequest, BatchIntrospectResponse, IntrospectRequest, IntrospectResponse,
    introspection_server::Introspection,
};
use tonic::{Request, Response, Status};

use super::{caller::introspector, error};
use crate::ops::AuthService;

/// Answers whether tokens are alive.
#[derive(Debug)]
pub struct Introspector {
    auth: Arc<AuthService>,
}

impl Introspector {
    /// Answers from `auth`.
    #[must_use]
    pub fn new(auth: Arc<AuthService>) -> Self {
        Self { auth }
    }
}

#[tonic::async_trait]
impl Introspection for Introspector {
    async fn introspect(
        &self,
        request: Request<IntrospectRequest>,
    ) -> Result<Response<IntrospectResponse>, Status> {
        let caller = introspector(request.extensions())?;
        let claims = self.auth.tokens.introspect(&caller, &request.get_ref().token);
        let claims = claims.map_err(|failed| error::fault(&failed))?;
        Ok(Response::new(wire::response(claims.map(Arc::unwrap_or_clone))))
    }

    async fn batch_introspect(
        &self,
        request: Request<BatchIntrospectRequest>,
    ) -> Result<Response<BatchIntrospectResponse>, Status> {
        let caller = introspector(request.extensions())?;
        let answers = self.auth.tokens.introspect_batch(&caller, &request.get_ref().tokens);
        let answers = answers.map_err(error::batch)?;
        Ok(Response::new(BatchIntrospectResponse {
            responses: answers
                .into_iter()
                .map(|claims| wire::response(claims.map(Arc::unwrap_or_clone)))
                .collect(),
        }))
    }
}
