//! `auth.v1.Introspection`

use std::sync::Arc;

use prost_types::{ListValue, Struct, Value as WireValue, value::Kind};
use proto::auth_v1::{
    self as wire, BatchIntrospectRequest, BatchIntrospectResponse, IntrospectRequest, IntrospectResponse,
    introspection_server::Introspection,
};
use serde_json::Value;
use shared::token::{Claims, Opaque, claims::NumericDate};
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
        Ok(Response::new(answer(claims)))
    }

    async fn batch_introspect(
        &self,
        request: Request<BatchIntrospectRequest>,
    ) -> Result<Response<BatchIntrospectResponse>, Status> {
        let caller = self.caller(request.metadata()).map_err(|error| status(&error))?;
        let answers = self.hall.introspect_batch(&caller, &request.get_ref().tokens);
        let answers = answers.map_err(|error| status(&error))?;
        Ok(Response::new(BatchIntrospectResponse { responses: answers.into_iter().map(answer).collect() }))
    }
}

fn answer(claims: Option<Claims>) -> IntrospectResponse {
    IntrospectResponse { active: claims.is_some(), claims: claims.map(to_wire) }
}

fn to_wire(claims: Claims) -> wire::Claims {
    let text = |id: Option<Opaque>| id.map(|id| id.to_string());
    wire::Claims {
        iss: claims.iss.to_string(),
        sub: claims.sub.to_string(),
        aud: claims.aud.iter().map(ToString::to_string).collect(),
        exp: claims.exp.unix_seconds(),
        iat: claims.iat.map_or(0, NumericDate::unix_seconds),
        jti: text(claims.jti).unwrap_or_default(),
        client_id: text(claims.client_id).unwrap_or_default(),
        scope: (!claims.scope.is_empty()).then(|| claims.scope.to_string()),
        roles: claims.roles,
        email: claims.email,
        sid: text(claims.sid),
        auth_time: claims.auth_time.map(NumericDate::unix_seconds),
        fresh: claims.fresh,
        amr: claims.amr,
        csrf: claims.csrf,
        custom: (!claims.custom.is_empty()).then(|| to_struct(claims.custom)),
    }
}

fn to_struct(members: serde_json::Map<String, Value>) -> Struct {
    Struct { fields: members.into_iter().map(|(name, value)| (name, to_value(value))).collect() }
}

fn to_value(value: Value) -> WireValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.into_iter().map(to_value).collect() })
        }
        Value::Object(members) => Kind::StructValue(to_struct(members)),
    };
    WireValue { kind: Some(kind) }
}
