//! A token before it is signed.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::TestIssuer;
use crate::clock::Clock;

/// A token before it is signed. It is valid unless the test changes it.
#[derive(Clone, Debug)]
#[must_use = "it is no token until it is signed"]
pub struct TokenDraft {
    issuer: TestIssuer,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl TestIssuer {
    /// A token of `subject`: minted now from a login, valid for 15 minutes, without scope and role.
    pub fn token(&self, subject: &str) -> TokenDraft {
        TokenDraft::new(self.clone(), subject)
    }
}

impl TokenDraft {
    fn new(issuer: TestIssuer, subject: &str) -> Self {
        let now = issuer.clock().now().unix_seconds();
        let header = json!({"alg": "RS256", "typ": "at+jwt", "kid": issuer.kid()});
        let claims = json!({
            "iss": issuer.url(), "sub": subject, "aud": issuer.audience(), "iat": now, "exp": now + 900, "auth_time": now,
            "fresh": true, "client_id": "first-party", "jti": format!("jti-{subject}-{now}"),
            "sid": format!("sid-{subject}"),
        });
        Self { issuer, header: members(header), claims: members(claims) }
    }

    /// Adds a scope.
    pub fn scope(self, scope: &str) -> Self {
        let held = self.claims.get("scope").and_then(Value::as_str).map(|held| format!("{held} {scope}"));
        let scope = held.unwrap_or_else(|| scope.to_owned());
        self.claim("scope", scope)
    }

    /// Adds a role.
    pub fn role(mut self, role: &str) -> Self {
        let roles = self.claims.entry("roles").or_insert_with(|| json!([]));
        if let Some(roles) = roles.as_array_mut() {
            roles.push(role.into());
        }
        self
    }

    /// Sets the email address of the account.
    pub fn email(self, email: &str) -> Self {
        self.claim("email", email)
    }

    /// Sets the expiry to `ttl` from now.
    pub fn expires_in(self, ttl: Duration) -> Self {
        let exp = self.now() + seconds(ttl);
        self.claim("exp", exp)
    }

    /// Sets the expiry to one second ago.
    pub fn expired(self) -> Self {
        let now = self.now();
        self.claim("iat", now - 901).claim("auth_time", now - 901).claim("exp", now - 1)
    }

    /// Makes it a token from a refresh: not fresh, with a login `login_was` ago.
    pub fn refreshed(self, login_was: Duration) -> Self {
        let auth_time = self.now() - seconds(login_was);
        self.claim("auth_time", auth_time).claim("fresh", false)
    }

    /// Makes it a service token by client credentials, without session and login.
    pub fn of_service(mut self) -> Self {
        for name in ["auth_time", "fresh", "sid"] {
            self.claims.remove(name);
        }
        let client = self.claims.get("sub").cloned().unwrap_or_default();
        self.claim("client_id", client)
    }

    /// Makes it a token for delivery by cookie. Unsafe requests must repeat `csrf`.
    pub fn csrf(self, csrf: &str) -> Self {
        self.claim("csrf", csrf)
    }

    /// Sets the claim `name`. The value may be one that no issuer would sign.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// Removes the claim `name`.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets a member of the JOSE header. The value may be one that no issuer would sign.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.into(), value.into());
        self
    }

    /// Signs the token.
    #[must_use]
    pub fn sign(&self) -> String {
        let message = self.message();
        let signature = URL_SAFE_NO_PAD.encode(self.issuer.signature(&message));
        format!("{message}.{signature}")
    }

    /// Returns the token with another token's signature: a forgery.
    #[must_use]
    pub fn forged(&self) -> String {
        let message = self.message();
        let signature = URL_SAFE_NO_PAD.encode(self.issuer.signature("another message"));
        format!("{message}.{signature}")
    }

    fn message(&self) -> String {
        let encoded =
            |members: &Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::Object(members.clone()).to_string());
        format!("{}.{}", encoded(&self.header), encoded(&self.claims))
    }

    fn now(&self) -> i64 {
        self.issuer.clock().now().unix_seconds()
    }
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}
