//! The caller's identity, in headers for the service behind the proxy. Every positive answer has all five headers. A
//! header without a value is empty, so a proxy that copies all five replaces any that the client sent.

use std::fmt::Write as _;

use axum::http::{HeaderName, HeaderValue};

use crate::verify::{Claims, VerifiedToken};

/// The claim `sub`, escaped.
const SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");

/// The claim `email`, escaped. Only users have it.
const EMAIL: HeaderName = HeaderName::from_static("x-auth-email");

/// The claim `roles`: each role escaped, with commas between them.
const ROLES: HeaderName = HeaderName::from_static("x-auth-roles");

/// The claim `scope`, with blanks between its words.
const SCOPE: HeaderName = HeaderName::from_static("x-auth-scope");

/// The claim `client_id`, escaped.
const CLIENT: HeaderName = HeaderName::from_static("x-auth-client");

/// Names of all identity headers.
pub const HEADERS: [HeaderName; 5] = [SUBJECT, EMAIL, ROLES, SCOPE, CLIENT];

/// Identity of an accepted caller. It is anonymous where a rule accepts requests without a token.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity(Option<VerifiedToken>);

impl Identity {
    /// An anonymous caller.
    pub const NOBODY: Self = Self(None);

    pub(super) fn of(token: VerifiedToken) -> Self {
        Self(Some(token))
    }

    /// Claims of the caller's token. `None` for an anonymous caller.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        self.0.as_ref().map(VerifiedToken::claims)
    }

    /// All five identity headers.
    #[must_use]
    pub fn headers(&self) -> [(HeaderName, HeaderValue); 5] {
        let texts = self.claims().map_or_else(Default::default, texts);
        let mut texts = texts.into_iter();
        HEADERS.map(|name| {
            let text = texts.next().unwrap_or_default();
            // The value is printable ASCII after escaping.
            (name, HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("")))
        })
    }
}

fn texts(claims: &Claims) -> [String; 5] {
    let roles: Vec<_> = claims.roles.iter().map(|role| escaped(role)).collect();
    [
        escaped(claims.sub.as_str()),
        claims.email.as_deref().map(escaped).unwrap_or_default(),
        roles.join(","),
        claims.scope.to_string(),
        claims.client_id.as_ref().map(|client| escaped(client.as_str())).unwrap_or_default(),
    ]
}

/// Percent-encodes (RFC 3986 §2.1) every byte except printable ASCII other than `%`, `,`, `"` and `\`. The value is
/// then one word, and one item of a list.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"%,\"\\".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{Audience, Audiences, Issuer, NumericDate};

    #[test]
    fn a_value_is_one_word_whatever_is_in_it() {
        let audiences = Audiences::new(vec![Audience::new("a")]).unwrap();
        let exp = NumericDate::from_unix_seconds(0);
        let claims = Claims {
            email: Some("caf\u{e9}@example.com".into()),
            roles: vec!["admin".into(), "a,b".into(), "x\r\nX-Auth-Roles: root".into()],
            scope: "documents:read documents:write".parse().unwrap(),
            ..Claims::new(Issuer::new("i"), "100% \"me\"".parse().unwrap(), audiences, exp)
        };
        assert_eq!(
            texts(&claims),
            [
                "100%25%20%22me%22",
                "caf%C3%A9@example.com",
                "admin,a%2Cb,x%0D%0AX-Auth-Roles:%20root",
                "documents:read documents:write",
                "",
            ]
        );
    }

    #[test]
    fn of_nobody_all_headers_are_there_and_empty() {
        let headers = Identity::NOBODY.headers();
        assert_eq!(headers.clone().map(|(name, _)| name), HEADERS);
        assert!(headers.iter().all(|(_, value)| value.is_empty()));
    }
}
