//! What the descriptions of several routes have in common.

use countermark_service::openapi::{Operation, Reply};
use serde_json::{Value, json};

/// Describes the header `WWW-Authenticate`.
const CHALLENGE: &str = "The scheme, the realm and the error (RFC 6750 §3)";

/// The security schemes: how a caller shows a token.
pub(super) fn security() -> Value {
    json!({
        "access": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of the issuer. `RESOURCE_TOKEN_LOCATIONS` allows a cookie, the query or the \
                            body too.",
        },
    })
}

/// A route that verifies an access token.
pub(super) trait Protected {
    /// Takes a live access token, and refuses others.
    fn protected(self) -> Self;
    /// The same, and refuses tokens that lack `needs`.
    fn protected_by(self, needs: &str) -> Self;
}

impl Protected for Operation {
    fn protected(self) -> Self {
        self.secured_by(&["access"])
            .reply(
                Reply::error(400, &["invalid_request"], "The request can't be read, or has several tokens")
                    .may_have_header("WWW-Authenticate", CHALLENGE),
            )
            .reply(refused(&["missing_token", "invalid_token"], "There is no token, or it is not accepted"))
    }

    fn protected_by(self, needs: &str) -> Self {
        let description =
            format!("The token lacks {needs}, or the CSRF value of a request by cookie is missing or wrong");
        self.protected().reply(
            Reply::error(403, &["insufficient_scope", "csrf"], &description)
                .may_have_header("WWW-Authenticate", CHALLENGE),
        )
    }
}

/// 401 with one of `codes`.
pub(super) fn refused(codes: &[&str], description: &str) -> Reply {
    Reply::error(401, codes, description).with_header("WWW-Authenticate", CHALLENGE)
}

/// 403 of a request by cookie.
pub(super) fn csrf() -> Reply {
    Reply::error(403, &["csrf"], "The CSRF value of a request by cookie is missing or wrong")
}

/// An object with exactly those members, all of them required.
pub(super) fn object(properties: &Value) -> Value {
    let required: Vec<_> = properties.as_object().into_iter().flat_map(|members| members.keys()).collect();
    json!({"type": "object", "required": required, "properties": properties})
}

/// Says that no cache keeps the answer.
pub(super) fn private(reply: Reply) -> Reply {
    reply.with_header("Cache-Control", "`no-store`")
}

/// 200 with the name of the token's subject.
pub(super) fn logged_in() -> Reply {
    let name = json!({"type": "string", "description": "The email address of a user, or the client id of a service."});
    Reply::content(
        200,
        "The subject of the token",
        "application/json",
        object(&json!({"logged_in_as": name})),
    )
}
