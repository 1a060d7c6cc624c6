//! The log line of a refused caller. When a token is of another issuer or audience it shows both sides: the trusted names, and
//! the names that the token claims. The caller's answer does not show them.

use std::{borrow::Cow, fmt::Write as _};

use super::{TrustedIssuer, TrustedIssuers};
use crate::verify::{Audience, AuthError, TokenError, unverified};

/// The longest part of a claimed name that is logged, in characters. It is shorter than any token.
const MAX_CHARS: usize = 100;

/// The most audiences of a token that are logged.
const MAX_NAMES: usize = 8;

/// The names that are trusted, and the names that the token claims.
#[derive(Debug, PartialEq, Eq)]
struct Mismatch {
    expected: String,
    claimed: String,
}

impl TrustedIssuers {
    /// Logs the exact reason why `subject` (a request or a call) is refused, once. `token` is read only for a token of another
    /// issuer or audience.
    pub(crate) fn log_refused<'t>(
        &self,
        subject: &'static str,
        error: &AuthError,
        token: impl FnOnce() -> Option<Cow<'t, str>>,
    ) {
        match self.mismatch(error, token) {
            None => tracing::info!(reason = %error, "{subject} refused"),
            Some(Mismatch { expected, claimed }) => {
                tracing::info!(reason = %error, expected, claimed_by_token = claimed, "{subject} refused");
            }
        }
    }

    fn mismatch<'t>(
        &self,
        error: &AuthError,
        token: impl FnOnce() -> Option<Cow<'t, str>>,
    ) -> Option<Mismatch> {
        if *error == AuthError::Token(TokenError::Issuer) {
            let issuers = self.all().map(|trusted| trusted.issuer().as_str());
            let claimed = unverified::issuer(&token()?)?;
            return Some(Mismatch { expected: listed(issuers), claimed: inert([claimed.as_str()]) });
        }
        if *error == AuthError::Token(TokenError::Audience) {
            let token = token()?;
            let audiences = self.of(&token).ok().map(TrustedIssuer::audiences)?;
            let claimed = unverified::audiences(&token)?;
            let expected = listed(audiences.iter().map(Audience::as_str));
            return Some(Mismatch { expected, claimed: inert(claimed.iter().map(Audience::as_str)) });
        }
        None
    }
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// Names that a stranger chose, made safe for a log: quoted, cut, and without control characters.
fn inert<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut text = String::new();
    let mut names = names.into_iter();
    for name in names.by_ref().take(MAX_NAMES) {
        let cut: String = name.chars().take(MAX_CHARS).collect();
        let (comma, more) =
            (if text.is_empty() { "" } else { ", " }, if cut.len() < name.len() { "…" } else { "" });
        // Writing to a string does not fail.
        let _ = write!(text, "{comma}{cut:?}{more}");
    }
    if names.next().is_some() {
        text.push_str(", …");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{pin::Pin, sync::Arc};

    use serde_json::{Value, json};

    use super::*;
    use crate::{
        clock::SystemClock,
        forge::{signed, verifier},
        issuer::KeySource,
        verify::{AcceptedAudiences, Issuer, KeySet, Verifier},
    };

    /// A source that never has keys.
    #[derive(Debug)]
    struct NoKeys;

    impl KeySource for NoKeys {
        fn held(&self) -> Option<Arc<KeySet>> {
            None
        }

        fn newer(&self) -> Pin<Box<dyn Future<Output = Option<Arc<KeySet>>> + Send + '_>> {
            Box::pin(std::future::ready(None))
        }
    }

    /// What is logged for a token with those claims that is refused with `error`, by two issuers.
    fn mismatch(error: TokenError, claims: &Value) -> Option<Mismatch> {
        let trusted = |verifier| TrustedIssuer::new(verifier, Arc::new(NoKeys), Arc::new(SystemClock::new()));
        let mut issuers = TrustedIssuers::from(trusted(verifier()));
        let audiences = AcceptedAudiences::AnyOf(vec![Audience::new("partner")]);
        issuers.add(trusted(Verifier::new(Issuer::new("http://theirs"), audiences)));
        issuers.mismatch(&error.into(), || Some(signed("1", claims).into()))
    }

    #[test]
    fn both_names_are_known_for_another_issuer_and_for_another_audience() {
        let both = |expected: &str, claimed: &str| {
            Some(Mismatch { expected: expected.to_owned(), claimed: claimed.to_owned() })
        };
        let nobody = mismatch(TokenError::Issuer, &json!({ "iss": "http://nobody" }));
        assert_eq!(nobody, both("http://issuer, http://theirs", r#""http://nobody""#));
        let others = mismatch(TokenError::Audience, &json!({ "aud": ["one", "two"] }));
        assert_eq!(others, both("documents", r#""one", "two""#));
        let theirs = mismatch(TokenError::Audience, &json!({ "iss": "http://theirs", "aud": "documents" }));
        assert_eq!(theirs, both("partner", r#""documents""#));
        assert_eq!(mismatch(TokenError::Expired, &json!({})), None);
    }

    #[test]
    fn names_that_a_stranger_chose_are_cut_and_harmless() {
        assert_eq!(
            inert(["a\n2027 INFO forged\u{202e}\u{1b}[2J"]),
            r#""a\n2027 INFO forged\u{202e}\u{1b}[2J""#
        );
        let long = "x".repeat(8_000);
        assert_eq!(inert([long.as_str()]), format!("\"{}\"…", "x".repeat(MAX_CHARS)));
        let many = vec!["a"; 1_000];
        assert_eq!(inert(many), format!("{}, …", ["\"a\""; MAX_NAMES].join(", ")));
    }
}
