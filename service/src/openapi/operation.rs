//! The description of one route: what it takes, and what it answers.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{Reply, Schemas, schema_of};

/// An OpenAPI operation.
#[derive(Debug)]
#[must_use = "it describes nothing until it is added to an Api"]
pub struct Operation {
    members: Map<String, Value>,
    parameters: Vec<Value>,
    replies: Map<String, Value>,
    schemas: Schemas,
}

impl Operation {
    /// An operation that takes nothing. `id` is unique within the document; `tag` groups operations. Every operation may
    /// answer 503.
    pub fn new(id: &str, tag: &str, summary: &str) -> Self {
        let members = [("operationId", json!(id)), ("tags", json!([tag])), ("summary", json!(summary))];
        Self {
            members: members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            parameters: Vec::new(),
            replies: Map::new(),
            schemas: Schemas::new(),
        }
        .reply(
            Reply::error(503, &["temporarily_unavailable"], "The service can't answer now; try again later")
                .with_header("Retry-After", "Seconds until the next try"),
        )
    }

    /// Adds a longer description.
    pub fn describe(mut self, text: &str) -> Self {
        self.members.insert("description".to_owned(), text.into());
        self
    }

    /// Takes any one of those security schemes. `""` stands for none.
    pub fn secured_by(mut self, schemes: &[&str]) -> Self {
        let requirement = |scheme: &&str| if scheme.is_empty() { json!({}) } else { json!({*scheme: []}) };
        self.members.insert("security".to_owned(), schemes.iter().map(requirement).collect());
        self
    }

    /// Takes a parameter. `location` is `path`, `query` or `header`; one in the path is required.
    #[expect(clippy::needless_pass_by_value, reason = "callers write the schema in place")]
    pub fn parameter(mut self, location: &str, name: &str, description: &str, schema: Value) -> Self {
        self.parameters.push(json!({
            "name": name,
            "in": location,
            "required": location == "path",
            "description": description,
            "schema": schema,
        }));
        self
    }

    /// Takes a JSON body.
    pub fn takes<T: ToSchema>(mut self) -> Self {
        let schema = schema_of::<T>(&mut self.schemas);
        self.body(true, "application/json", schema)
    }

    /// Takes a JSON body, or none.
    pub fn may_take<T: ToSchema>(mut self) -> Self {
        let schema = schema_of::<T>(&mut self.schemas);
        self.body(false, "application/json", schema)
    }

    /// Takes a JSON body of that schema.
    pub fn takes_schema(self, schema: Value) -> Self {
        self.body(true, "application/json", schema)
    }

    /// Takes a form of that schema.
    pub fn takes_form(self, schema: Value) -> Self {
        self.body(true, "application/x-www-form-urlencoded", schema)
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers write the schema in place")]
    fn body(mut self, required: bool, content_type: &str, schema: Value) -> Self {
        let body = json!({"required": required, "content": {content_type: {"schema": schema}}});
        self.members.insert("requestBody".to_owned(), body);
        self.reply(Reply::error(408, &["request_timeout"], "The request did not arrive in time"))
            .reply(Reply::error(413, &["payload_too_large"], "The body is too large"))
    }

    /// Gives that answer. A second one with the same status replaces the first.
    pub fn reply(mut self, reply: Reply) -> Self {
        let (status, description, schemas) = reply.into_parts();
        self.replies.insert(status.to_string(), description);
        self.schemas.extend(schemas);
        self
    }

    pub(super) fn into_parts(self) -> (Value, Schemas) {
        let Self { mut members, parameters, replies, schemas } = self;
        if !parameters.is_empty() {
            members.insert("parameters".to_owned(), parameters.into());
        }
        members.insert("responses".to_owned(), replies.into());
        (members.into(), schemas)
    }
}
