//! What the descriptions of several routes have in common.

use countermark_service::openapi::{Operation, Reply};
use serde_json::{Value, json};

/// The security schemes: how a caller shows a token or authenticates.
pub(super) fn security() -> Value {
    let bearer = |format: &str, description: &str| json!({"type": "http", "scheme": "bearer", "bearerFormat": format, "description": description});
    let cookie = |name: &str, description: &str| json!({"type": "apiKey", "in": "cookie", "name": name, "description": description});
    json!({
        "access": bearer("JWT", "An access token."),
        "refresh": bearer("opaque", "A refresh token."),
        "access_cookie": cookie(
            "__Host-access_token",
            "The access token of a login with `\"delivery\":\"cookie\"`. Unsafe methods need `X-CSRF-Token` too. With \
             `AUTH_COOKIE_DOMAIN` the name is `__Secure-access_token`.",
        ),
        "refresh_cookie": cookie(
            "__Secure-refresh_token",
            "The refresh token of a login with `\"delivery\":\"cookie\"`. It needs `X-CSRF-Token` too.",
        ),
        "client": {"type": "http", "scheme": "basic", "description": "A client's id and secret, form-encoded."},
    })
}

/// A route of an account, which needs an access token of a user.
pub(super) trait OfAccount {
    /// Takes an access token as Bearer or in a cookie, and refuses others.
    fn of_account(self) -> Self;
    /// The same for a method that changes something: a cookie needs the CSRF value.
    fn changing_account(self) -> Self;
}

impl OfAccount for Operation {
    fn of_account(self) -> Self {
        self.secured_by(&["access", "access_cookie"])
            .reply(
                Reply::error(400, &["invalid_request"], "The request can't be read, or has several tokens")
                    .may_have_header("WWW-Authenticate", CHALLENGE),
            )
            .reply(refused_token())
            .reply(
                Reply::error(403, &["insufficient_scope"], "The token is not a user's")
                    .may_have_header("WWW-Authenticate", CHALLENGE),
            )
    }

    fn changing_account(self) -> Self {
        csrf(self.of_account()).reply(
            Reply::error(
                403,
                &["insufficient_scope", "csrf"],
                "The token is not a user's, or the CSRF value of a request by cookie is missing or wrong",
            )
            .may_have_header("WWW-Authenticate", CHALLENGE),
        )
    }
}

/// Describes the header `WWW-Authenticate`.
pub(super) const CHALLENGE: &str = "The scheme, the realm and the error (RFC 6750 §3)";

/// 401 for an access token.
fn refused_token() -> Reply {
    Reply::error(401, &["missing_token", "invalid_token"], "There is no token, or it is not accepted")
        .with_header("WWW-Authenticate", CHALLENGE)
}

/// Takes the CSRF value, which a request by cookie needs.
pub(super) fn csrf(operation: Operation) -> Operation {
    let description = "The `csrf` value of the login. A request by cookie needs it.";
    operation.parameter("header", "X-CSRF-Token", description, json!({"type": "string"}))
}

/// 429 of the login limits.
pub(super) fn limited() -> Reply {
    Reply::error(429, &["too_many_requests"], "Too many tries from this address or for this account")
        .with_header("Retry-After", "Seconds until the next try")
}

/// The answer of `/refresh`, which limits how often sessions and accounts refresh.
pub(super) fn limited_by_token() -> Reply {
    Reply::error(
        429,
        &["too_many_requests"],
        "Too many refreshes of this session or account; the token is not spent",
    )
    .with_header("Retry-After", "Seconds until the next try")
}
