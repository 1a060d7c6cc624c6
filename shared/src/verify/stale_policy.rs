//! The policy for good tokens when their revocation may have been missed. The issuer knows the policy of each verifier too: the
//! barrier waits for a stale verifier only when it would still accept revoked tokens.

use std::{fmt, str::FromStr};

/// What a verifier does with a valid token while its revocations may be out of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StalePolicy {
    /// Accepts it.
    Allow,
    /// Asks the issuer by introspection. Without an answer it acts as [`Deny`](Self::Deny).
    Introspect,
    /// Refuses it with a temporary error.
    Deny,
}

/// The text is not the name of a stale policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is none of allow, introspect and deny")]
pub struct UnknownStalePolicy;

impl StalePolicy {
    /// The word in settings, in output and in the issuer's database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Introspect => "introspect",
            Self::Deny => "deny",
        }
    }
}

impl FromStr for StalePolicy {
    type Err = UnknownStalePolicy;

    fn from_str(text: &str) -> Result<Self, UnknownStalePolicy> {
        let all = [Self::Allow, Self::Introspect, Self::Deny];
        all.into_iter().find(|policy| policy.as_str() == text).ok_or(UnknownStalePolicy)
    }
}

impl fmt::Display for StalePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_one_name() {
        for policy in [StalePolicy::Allow, StalePolicy::Introspect, StalePolicy::Deny] {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert_eq!("Deny".parse::<StalePolicy>(), Err(UnknownStalePolicy));
    }
}
