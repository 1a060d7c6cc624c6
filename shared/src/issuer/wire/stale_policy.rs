//! The policy of a verifier on the wire: the verifier names it at the start of a stream, the issuer reads it.

use countermark_proto::auth_v1 as wire;

use crate::verify::{StalePolicy, UnknownStalePolicy};

impl From<StalePolicy> for wire::StalePolicy {
    fn from(policy: StalePolicy) -> Self {
        match policy {
            StalePolicy::Allow => Self::Allow,
            StalePolicy::Introspect => Self::Introspect,
            StalePolicy::Deny => Self::Deny,
        }
    }
}

impl TryFrom<wire::StalePolicy> for StalePolicy {
    type Error = UnknownStalePolicy;

    fn try_from(policy: wire::StalePolicy) -> Result<Self, UnknownStalePolicy> {
        match policy {
            wire::StalePolicy::Allow => Ok(Self::Allow),
            wire::StalePolicy::Introspect => Ok(Self::Introspect),
            wire::StalePolicy::Deny => Ok(Self::Deny),
            wire::StalePolicy::Unspecified => Err(UnknownStalePolicy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_comes_back_as_it_went() {
        for policy in [StalePolicy::Allow, StalePolicy::Introspect, StalePolicy::Deny] {
            assert_eq!(StalePolicy::try_from(wire::StalePolicy::from(policy)), Ok(policy));
        }
        assert_eq!(StalePolicy::try_from(wire::StalePolicy::Unspecified), Err(UnknownStalePolicy));
    }
}
