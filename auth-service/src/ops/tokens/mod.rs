//! The part `tokens`: access tokens are minted, verified and introspected.
//!
//! It touches the mint watermark and reads accounts, the registry and the revocation log. It signs by way of
//! [`keys`](super::keys). It begins and ends no session.
//!
//! - [`mint`] — the one way to an access token
//! - [`mint_permit`] — the watermark that is stored before a token is minted; `watermark` is its copy in memory
//! - [`verify`] — how the issuer verifies its own tokens
//! - [`introspect`] — whether a token is alive (RFC 7662)

pub mod introspect;
pub mod mint;
pub mod mint_permit;
pub mod verify;
mod watermark;

use std::sync::Arc;

use countermark::verify::{AcceptedAudiences, TokenCache, Verifier};

use super::{Context, keys::Keys};
use watermark::Watermark;

/// Access tokens are minted, verified and introspected.
#[derive(Debug)]
pub struct Tokens {
    context: Context,
    keys: Arc<Keys>,
    watermark: Watermark,
    /// Accepts each audience: the issuer's own routes serve each user of the issuer. It does not matter which
    /// resource server a token is for.
    verifier: Verifier,
    /// Verified tokens. The interfaces share it.
    cache: Arc<TokenCache>,
}

impl Tokens {
    /// Signs with `keys`.
    #[must_use]
    pub fn new(context: Context, keys: Arc<Keys>) -> Self {
        let verifier = Verifier::new(context.policy.issuer.clone(), AcceptedAudiences::Any);
        Self { context, keys, watermark: Watermark::default(), verifier, cache: Arc::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use countermark::verify::{AnyAge, NumericDate, Revocation};

    use super::{
        Tokens,
        mint::{Delivery, MintContext},
    };
    use crate::ops::testing::Bench;

    #[tokio::test]
    async fn a_token_is_verified_until_it_is_revoked() {
        let bench = Bench::open().await;
        let (tokens, session, account) = (bench.tokens(), bench.session(), bench.account());
        let now = bench.context.clock.now();
        let permit = tokens.mint_permit(&account.id.to_string(), "first-party", now).await.unwrap();
        let context = MintContext::login(Delivery::Body);
        let minted = tokens.mint_tokens(&account, &session, context, &permit, now).unwrap();
        assert!(matches!(
            tokens.verify_any_age(tokens.verifier(), &minted.access_token),
            Ok(AnyAge::Live(_))
        ));
        tokens.revocations().change(|set| {
            let subject = account.id.to_string().parse().unwrap();
            set.add(Revocation::Account(subject, NumericDate::from_unix_seconds(now.unix_seconds())));
        });
        let verified = tokens.verify_any_age(tokens.verifier(), &minted.access_token);
        assert_eq!(verified.unwrap_err(), countermark::verify::TokenError::Revoked);
    }

    #[tokio::test]
    async fn a_draft_is_no_permit_once_its_key_is_revoked() {
        let bench = Bench::open().await;
        let keys = bench.keys();
        let tokens = Tokens::new(bench.context.clone(), Arc::clone(&keys));
        let now = bench.context.clock.now();
        let first = tokens.draft_permit("alice", "first-party", now);
        let mark = first.mark().expect("a watermark that is not stored yet");
        tokens.mint_permit("alice", "first-party", now).await.unwrap();
        let covered = tokens.draft_permit("alice", "first-party", now);
        assert!(covered.mark().is_none(), "it is stored now");
        keys.revoke_signing_key(keys.active().kid()).await.unwrap();
        let is_stored = bench.context.store.raise_mint_mark(mark).await.unwrap();
        assert!(!is_stored, "the watermark goes with its key");
        assert!(tokens.finish_permit(first, is_stored).unwrap().is_none());
        assert!(tokens.finish_permit(covered, true).unwrap().is_none());
    }

    #[tokio::test]
    async fn what_is_minted_after_a_revocation_is_not_revoked_by_it() {
        let bench = Bench::open().await;
        let (tokens, account) = (bench.tokens(), bench.account());
        let now = bench.context.clock.now();
        let subject = account.id.to_string();
        let before = tokens.mint_permit(&subject, "first-party", now).await.unwrap();
        tokens.revocations().change(|set| {
            let up_to = NumericDate::from_unix_seconds(now.unix_seconds());
            set.add(Revocation::Account(subject.parse().unwrap(), up_to));
        });
        let after = tokens.mint_permit(&subject, "first-party", now).await.unwrap();
        assert_eq!(after.iat.unix_seconds(), before.iat.unix_seconds() + 1);
    }
}
