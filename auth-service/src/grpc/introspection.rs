//! `auth.v1.Introspection`

use std::sync::Arc;

use proto::auth_v1::{
    BatchIntrospectRequest, BatchIntrospectResponse, IntrospectRequest, IntrospectResponse,
    introspection_server::Introspection,
};
use shared::introspection::wire;
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::error::status;
use crate::ops::{
    Error, Hall,
    caller::{Caller, Credentials},
};

/// Answers whether tokens are alive.
#[derive(Debug)]
pub struct Introspector {
    hall: Arc<Hall>,
}

impl Introspector {
    /// Answers from `hall`.
    #[must_use]
    pub fn new(hall: Arc<Hall>) -> Self {
        Self { hall }
    }

    /// The caller authenticates before anything of its request is looked at.
    fn caller(&self, metadata: &MetadataMap) -> Result<Caller, Error> {
        let mut values = metadata.get_all("authorization").iter();
        let value = values.next().and_then(|value| value.to_str().ok());
        if values.next().is_some() {
            return Err(Error::Unauthenticated("more than one authorization"));
        }
        let credentials =
            value.and_then(Credentials::parse).ok_or(Error::Unauthenticated("no credentials"))?;
        self.hall.authenticate_caller(&credentials)
    }
}

#[tonic::async_trait]
impl Introspection for Introspector {
    async fn introspect(
        &self,
        request: Request<IntrospectRequest>,
    ) -> Result<Response<IntrospectResponse>, Status> {
        let caller = self.caller(request.metadata()).map_err(|error| status(&error))?;
        let claims = self.hall.introspect(&caller, &request.get_ref().token);
        Ok(Response::new(wire::response(claims.map(Arc::unwrap_or_clone))))
    }

    async fn batch_introspect(
        &self,
        request: Request<BatchIntrospectRequest>,
    ) -> Result<Response<BatchIntrospectResponse>, Status> {
        let caller = self.caller(request.metadata()).map_err(|error| status(&error))?;
        let answers = self.hall.introspect_batch(&caller, &request.get_ref().tokens);
        let answers = answers.map_err(|error| status(&error))?;
        Ok(Response::new(BatchIntrospectResponse {
            responses: answers
                .into_iter()
                .map(|claims| wire::response(claims.map(Arc::unwrap_or_clone)))
                .collect(),
        }))
    }
}
