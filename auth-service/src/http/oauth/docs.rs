//! What the descriptions of the OAuth endpoints have in common.

use countermark_service::openapi::{Operation, Reply};
use serde_json::{Value, json};

use super::client::JWT_BEARER;

/// Adds the answers that all OAuth endpoints have, for a client that authenticates in the header, or shows `also`, or
/// authenticates in the form.
pub(super) fn describe(operation: Operation, also: &[&str]) -> Operation {
    let invalid_client = Reply::oauth_error(401, &["invalid_client"], "The client did not authenticate")
        .with_header("WWW-Authenticate", "`Basic` and the realm");
    let unavailable = Reply::oauth_error(
        503,
        &["temporarily_unavailable"],
        "The service can't answer now; try again later",
    );
    operation
        .secured_by(&[&["client"], also, &[""]].concat())
        .reply(invalid_client)
        .reply(Reply::oauth_error(408, &["request_timeout"], "The request did not arrive in time"))
        .reply(Reply::oauth_error(413, &["payload_too_large"], "The body is too large"))
        .reply(unavailable.with_header("Retry-After", "Seconds until the next try"))
}

/// The answer of an endpoint that limits how often sessions, accounts and clients ask.
pub(super) fn limited() -> Reply {
    let msg = "Too many requests of this client, or with tokens of this session or account";
    Reply::oauth_error(429, &["too_many_requests"], msg)
        .with_header("Retry-After", "Seconds until the next try")
}

/// The schema of a form: the parameters of a client that authenticates in the body, and `members`.
pub(super) fn schema(required: &[&str], members: Value) -> Value {
    let mut properties = json!({
        "client_id": {"type": "string", "description": "The client's id, when no `Authorization` header has it."},
        "client_secret": {"type": "string", "format": "password", "description": "Beside `client_id`."},
        "client_assertion": {"type": "string", "description": "A JWT that the client signed (RFC 7523 §2.2)."},
        "client_assertion_type": {"type": "string", "description": "Beside `client_assertion`. Ignored without it."},
    });
    if let (Some(properties), Value::Object(members)) = (properties.as_object_mut(), members) {
        properties.extend(members);
    }
    let assertion = json!({
        "required": ["client_assertion_type"],
        "properties": {"client_assertion_type": {"const": JWT_BEARER}},
    });
    // An empty id counts as absent, and a secret without an id is refused.
    let secret = json!({"required": ["client_id"], "properties": {"client_id": {"minLength": 1}}});
    // One way to authenticate at a time. Parameters that the endpoint does not know are ignored, but come once too.
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": {"type": "string"},
        "dependentSchemas": {"client_secret": secret, "client_assertion": assertion},
        "not": {"required": ["client_secret", "client_assertion"]},
    })
}

/// The schema of a parameter that is a token.
pub(super) fn token(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "description": description})
}
