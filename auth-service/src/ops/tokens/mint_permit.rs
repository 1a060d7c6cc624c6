//! The mint permit: before a token is minted, a watermark is stored, the largest `iat` that any token of this key may
//! carry. "Revoke everything up to now" means up to the watermark, in every process and by every clock.
//!
//! The content of a token is read after the watermark was stored, or in the same transaction. So the token either has what
//! was decided before, or is revoked by the decision. It costs at most one write a second while tokens are minted.

use std::sync::Arc;

use countermark::{clock::Timestamp, verify::NumericDate};

use super::Tokens;
use crate::{keys::signing_key::SigningKey, ops::Fault, store::minted::MintMark};

/// A permit to mint tokens of one subject.
#[derive(Clone, Debug)]
pub struct MintPermit {
    /// The key to sign with.
    pub(in crate::ops) key: Arc<SigningKey>,
    /// The `iat` of the tokens.
    pub(in crate::ops) iat: NumericDate,
}

/// A permit whose watermark the caller stores, in a transaction that it needs anyway.
#[derive(Debug)]
pub(in crate::ops) struct DraftPermit {
    permit: MintPermit,
    subject: String,
    client: String,
    now: Timestamp,
    /// The watermark to be stored; `None` when it is that high already.
    mark: Option<MintMark>,
}

impl DraftPermit {
    /// The watermark that the caller has to store, if any.
    pub(in crate::ops) fn mark(&self) -> Option<MintMark> {
        self.mark.clone()
    }
}

impl MintPermit {
    fn mark(&self) -> MintMark {
        MintMark { kid: self.key.kid().clone(), up_to: self.iat }
    }
}

impl Tokens {
    /// A permit to mint tokens of that subject and client, now. What they are to say has to be read afterwards.
    ///
    /// # Errors
    /// [`Fault::Store`] when the watermark can't be stored.
    pub async fn mint_permit(
        &self,
        subject: &str,
        client: &str,
        now: Timestamp,
    ) -> Result<MintPermit, Fault> {
        loop {
            let permit = self.proposed(subject, client, now);
            let mark = permit.mark();
            if self.watermark.covers(&mark) {
                return Ok(permit);
            }
            self.store_mark(mark).await?;
        }
    }

    /// A permit whose watermark the caller stores, before [`finish_permit`](Self::finish_permit).
    pub(in crate::ops) fn draft_permit(&self, subject: &str, client: &str, now: Timestamp) -> DraftPermit {
        let permit = self.proposed(subject, client, now);
        let mark = Some(permit.mark()).filter(|mark| !self.watermark.covers(mark));
        DraftPermit { permit, subject: subject.to_owned(), client: client.to_owned(), now, mark }
    }

    /// The permit of a draft whose watermark was stored, or was that high already. `None` when the caller has to get
    /// another by [`mint_permit`](Self::mint_permit), and has to read again what the tokens are to say: another key
    /// signs by now, or a revocation that was logged before matches its `iat`.
    pub(in crate::ops) fn finish_permit(
        &self,
        draft: DraftPermit,
        is_stored: bool,
    ) -> Result<Option<MintPermit>, Fault> {
        let DraftPermit { permit, subject, client, now, mark } = draft;
        if let Some(mark) = mark {
            if !is_stored {
                self.keys.catch_up_with_signing_keys()?;
                return Ok(None);
            }
            self.take_up(mark)?;
        }
        let is_active = self.keys.active().kid() == permit.key.kid();
        let is_good = is_active && self.iat_of(&subject, &client, now) <= permit.iat;
        Ok(is_good.then_some(permit))
    }

    fn proposed(&self, subject: &str, client: &str, now: Timestamp) -> MintPermit {
        MintPermit { key: self.keys.active(), iat: self.iat_of(subject, client, now) }
    }

    /// Now, or the second after the latest revocation up to an instant, which would match the token otherwise. Verifiers
    /// accept an `iat` that is a little ahead.
    fn iat_of(&self, subject: &str, client: &str, now: Timestamp) -> NumericDate {
        let now = NumericDate::from_unix_seconds(now.unix_seconds());
        let revoked = self.revocations().read(|set| set.revoked_up_to(subject, client));
        let next = revoked.map(|at| NumericDate::from_unix_seconds(at.unix_seconds().saturating_add(1)));
        next.map_or(now, |next| next.max(now))
    }

    async fn store_mark(&self, mark: MintMark) -> Result<(), Fault> {
        let _turn = self.watermark.turn().await;
        if self.watermark.covers(&mark) {
            return Ok(());
        }
        if !self.context.store.raise_mint_mark(mark.clone()).await? {
            // The key was revoked meanwhile.
            return Ok(self.keys.catch_up_with_signing_keys()?);
        }
        self.take_up(mark)
    }

    /// Notes that the watermark is stored. What was decided before does not match the tokens that are minted from here on,
    /// so it has to be known: the log and the registry are read.
    fn take_up(&self, mark: MintMark) -> Result<(), Fault> {
        self.context.feed.catch_up()?;
        self.context.registry.catch_up()?;
        self.watermark.set(mark);
        Ok(())
    }
}
