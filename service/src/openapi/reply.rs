//! The description of one answer of a route.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{Schemas, schema_of};

/// An OpenAPI response, with its status.
#[derive(Debug)]
#[must_use = "it describes nothing until it is added to an Operation"]
pub struct Reply {
    status: u16,
    members: Map<String, Value>,
    headers: Map<String, Value>,
    schemas: Schemas,
}

impl Reply {
    /// An answer without a body.
    pub fn empty(status: u16, description: &str) -> Self {
        let members = Map::from_iter([("description".to_owned(), description.into())]);
        Self { status, members, headers: Map::new(), schemas: Schemas::new() }
    }

    /// An answer with a body of that media type and schema.
    pub fn content(status: u16, description: &str, content_type: &str, schema: Value) -> Self {
        Self::empty(status, description).or_content(content_type, schema)
    }

    /// A JSON body of the shape `T`.
    pub fn json<T: ToSchema>(status: u16, description: &str) -> Self {
        let mut reply = Self::empty(status, description);
        let schema = schema_of::<T>(&mut reply.schemas);
        reply.or_content("application/json", schema)
    }

    /// A JSON body of exactly one of the shapes `A` and `B`.
    pub fn one_of<A: ToSchema, B: ToSchema>(status: u16, description: &str) -> Self {
        let mut reply = Self::empty(status, description);
        let schemas = [schema_of::<A>(&mut reply.schemas), schema_of::<B>(&mut reply.schemas)];
        reply.or_content("application/json", json!({"oneOf": schemas}))
    }

    /// A JSON body of at least one of the shapes `A` and `B`.
    pub fn any_of<A: ToSchema, B: ToSchema>(status: u16, description: &str) -> Self {
        let mut reply = Self::empty(status, description);
        let schemas = [schema_of::<A>(&mut reply.schemas), schema_of::<B>(&mut reply.schemas)];
        reply.or_content("application/json", json!({"anyOf": schemas}))
    }

    /// An error with one of `codes`, and a sentence.
    pub fn error(status: u16, codes: &[&str], description: &str) -> Self {
        Self::coded(status, codes, description, "msg")
    }

    /// An error of an OAuth endpoint (RFC 6749 §5.2) with one of `codes`, and a sentence.
    pub fn oauth_error(status: u16, codes: &[&str], description: &str) -> Self {
        Self::coded(status, codes, description, "error_description")
    }

    fn coded(status: u16, codes: &[&str], description: &str, sentence: &str) -> Self {
        let names = codes.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(", ");
        let schema = json!({
            "type": "object",
            "required": ["error", sentence],
            "properties": {
                "error": {"type": "string", "enum": codes, "description": "The code, for programs."},
                sentence: {"type": "string", "description": "The sentence, for people."},
            },
            "additionalProperties": false,
        });
        Self::content(status, &format!("{names}: {description}"), "application/json", schema)
    }

    /// The same answer in another media type.
    #[expect(clippy::needless_pass_by_value, reason = "callers write the schema in place")]
    pub fn or_content(mut self, content_type: &str, schema: Value) -> Self {
        let content = self.members.entry("content").or_insert_with(|| json!({}));
        if let Some(content) = content.as_object_mut() {
            content.insert(content_type.to_owned(), json!({"schema": schema}));
        }
        self
    }

    /// Has that header always.
    pub fn with_header(self, name: &str, description: &str) -> Self {
        self.header(name, description, true)
    }

    /// May have that header.
    pub fn may_have_header(self, name: &str, description: &str) -> Self {
        self.header(name, description, false)
    }

    fn header(mut self, name: &str, description: &str, required: bool) -> Self {
        let header = json!({"description": description, "required": required, "schema": {"type": "string"}});
        self.headers.insert(name.to_owned(), header);
        self
    }

    pub(super) fn into_parts(self) -> (u16, Value, Schemas) {
        let Self { status, mut members, headers, schemas } = self;
        if !headers.is_empty() {
            members.insert("headers".to_owned(), headers.into());
        }
        (status, members.into(), schemas)
    }
}
