//! Refresh: the session's one live refresh token for its successor ("Single successor").

use super::{Error, Hall, mint::Tokens};
use crate::domain::{
    client::ClientId,
    session::{Device, Session, SessionId, Verdict},
};

impl Hall {
    /// Spends a refresh token that `client` shows. The immediate predecessor of the live one gets the same successor
    /// again within the grace window: its client has lost the answer.
    ///
    /// # Errors
    /// [`Error::InvalidGrant`] when the token is not the live one of a session of that client.
    pub async fn refresh(&self, token: &str, client: &ClientId, device: Device) -> Result<Tokens, Error> {
        let genuine =
            self.refresh_keys.open(token).ok_or(Error::InvalidGrant("not a token of this issuer"))?;
        let now = self.clock.now();
        loop {
            let mut session = self.session(genuine.session)?;
            if !genuine.is_of(&session) {
                return Err(Error::InvalidGrant("not of the session's own secret"));
            }
            if session.client != *client {
                return Err(Error::InvalidGrant("issued to another client"));
            }
            match session.judge(genuine.generation, now, &self.policy.lifetimes) {
                Verdict::Repeat => {}
                Verdict::Rotate => {
                    let rotated = self
                        .store
                        .rotate_session(session.id, session.generation, now, device.clone())
                        .await?;
                    if !rotated {
                        // Another request spent it in between; by what that one left behind this one is judged anew.
                        continue;
                    }
                    session.generation += 1;
                    session.rotated_at = now;
                }
                Verdict::Reuse => return Err(Error::InvalidGrant("spent before")),
                Verdict::Unknown => return Err(Error::InvalidGrant("newer than the session")),
                Verdict::Over => return Err(Error::InvalidGrant("the session is over")),
            }
            return self.successor(&session, now);
        }
    }

    fn session(&self, id: SessionId) -> Result<Session, Error> {
        self.store.session(id)?.ok_or(Error::InvalidGrant("no such session"))
    }

    /// The account is read anew each time, so that a refreshed token has the roles of today.
    fn successor(&self, session: &Session, now: shared::clock::Timestamp) -> Result<Tokens, Error> {
        let account =
            self.store.account(session.account)?.filter(crate::domain::account::Account::is_enabled);
        let account = account.ok_or(Error::InvalidGrant("the account is disabled or gone"))?;
        self.mint_tokens(&account, session, false, now)
    }
}
