//! Who the caller is, in headers for the service behind the proxy. All five are in every answer that lets a request in,
//! empty when there is nothing to say: so a proxy that copies them replaces whatever the client sent under their names.

use std::fmt::Write as _;

use axum::http::{HeaderName, HeaderValue};

use crate::verify::{Claims, VerifiedToken};

/// `sub`, escaped.
pub const SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");

/// `email`, escaped; of users alone.
pub const EMAIL: HeaderName = HeaderName::from_static("x-auth-email");

/// `roles`, each escaped, with commas between them.
pub const ROLES: HeaderName = HeaderName::from_static("x-auth-roles");

/// `scope`, with blanks between its words.
pub const SCOPE: HeaderName = HeaderName::from_static("x-auth-scope");

/// `client_id`, escaped.
pub const CLIENT: HeaderName = HeaderName::from_static("x-auth-client");

/// The names of all of them.
pub const HEADERS: [HeaderName; 5] = [SUBJECT, EMAIL, ROLES, SCOPE, CLIENT];

/// Who the caller of a request is that was let in; nobody, where a rule lets everybody in.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity(Option<VerifiedToken>);

impl Identity {
    /// Nobody in particular.
    pub const NOBODY: Self = Self(None);

    pub(super) fn of(token: VerifiedToken) -> Self {
        Self(Some(token))
    }

    /// What the caller's token claims.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        self.0.as_ref().map(VerifiedToken::claims)
    }

    /// The headers, all five of them.
    #[must_use]
    pub fn headers(&self) -> [(HeaderName, HeaderValue); 5] {
        let texts = self.claims().map_or_else(Default::default, texts);
        let mut texts = texts.into_iter();
        HEADERS.map(|name| {
            let text = texts.next().unwrap_or_default();
            // Whatever is not printable ASCII was escaped.
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

/// Percent-encoded (RFC 3986 §2.1) but for printable ASCII other than `%`, `,`, `"` and `\`: so that a value is one word,
/// and one entry of a list, for whoever reads it.
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
