//! Ends many sessions at once. One number ends them and one log entry revokes their tokens, however many there are.

use countermark::{
    clock::Timestamp,
    verify::{NumericDate, Revocation},
};
use rusqlite::{Connection, params};

use super::{
    Store, StoreError, accounts, audit, minted, refresh_keys,
    revocations::{self, LogEntry},
    sealing, sessions,
};
use crate::domain::{
    account::AccountId, audit::AuditEntry, password::PasswordHash, sealing::MasterKeyEpoch,
    session::SessionId,
};

const END_OF_ACCOUNT: &str = "UPDATE accounts SET sessions_ended_at = $1,
        sessions_ended_seq = (SELECT head + 1 FROM revocation_log),
        sessions_end_before = (SELECT epoch FROM session_epochs)
    WHERE id = $2";
const SPARE: &str = "UPDATE sessions SET epoch = (SELECT epoch FROM session_epochs) WHERE id = $1";
const NEXT_EPOCH: &str = "UPDATE session_epochs SET epoch = epoch + 1";
const END_ALL: &str = "UPDATE session_epochs SET epoch = epoch + 1, end_before = epoch + 1, ended_at = $1,
        ended_seq = (SELECT head + 1 FROM revocation_log)";
// Nothing has to reach a verifier.
const ENDED_BEFORE: &str = "UPDATE sessions SET ended_seq = (SELECT head FROM revocation_log) WHERE id = $1";
const IS_LIVE: &str = "SELECT EXISTS (SELECT 1 FROM sessions s JOIN accounts a ON a.id = s.account_id
    CROSS JOIN session_epochs e
    WHERE s.id = $1 AND s.account_id = $2 AND s.revoked_at IS NULL
        AND s.epoch >= a.sessions_end_before AND s.epoch >= e.end_before)";
const COUNT: &str = "SELECT count(*) FROM sessions s CROSS JOIN accounts a CROSS JOIN session_epochs e
    WHERE s.account_id = $1 AND a.id = $1 AND s.revoked_at IS NULL
        AND s.epoch >= MAX(a.sessions_end_before, e.end_before)";
// The columns stand in an index: the others of a row are read for what matches.
const OLDER: &str =
    "SELECT id FROM sessions WHERE id > $1 AND revoked_at IS NULL AND created_at < $2 ORDER BY id LIMIT $3";
const REMOVE_SOME: &str =
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE account_id = $1 LIMIT $2)";

/// Up to so many sessions are ended by an entry each when one of the account's sessions is spared. One entry for the
/// account would revoke the tokens of the spared session, too.
const FEW: i64 = 500;

/// How many rows one transaction deletes.
const PORTION: u32 = 1_000;

/// A change of an account that ends its sessions.
#[derive(Clone, Debug)]
pub enum AccountChange {
    /// Its password is replaced.
    Password(PasswordHash),
    /// It is disabled.
    Disable,
}

/// Whether the wall clock can be trusted with an entry that revokes an account's tokens up to now. If it is ahead by mistake, no
/// token of the account can be used after its correction, until that instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockDoubt {
    /// It ran evenly since this process began.
    None,
    /// It was set since then. A few sessions are ended by an entry each.
    WasSet,
}

/// A password that its owner changes.
#[derive(Debug)]
pub struct PasswordChange {
    /// The account.
    pub account: AccountId,
    /// The hash that the current password was checked against.
    pub checked: PasswordHash,
    /// The hash of the new one.
    pub hash: PasswordHash,
    /// The session of the request: it goes on.
    pub session: SessionId,
}

/// Sessions that were ended one by one.
#[derive(Debug)]
pub struct EndedSessions {
    /// How many went on until now.
    pub count: usize,
    /// The log entries.
    pub entries: Vec<LogEntry>,
}

impl Store {
    /// Changes an account, ends all its sessions, revokes its access tokens, and audits `why` once. Returns the log entries:
    /// one, unless the clock was set.
    pub async fn end_sessions_of(
        &self,
        account: AccountId,
        change: Option<AccountChange>,
        clock: ClockDoubt,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.write(move |tx| {
            audit::add(tx, &why)?;
            match change {
                None => {}
                Some(AccountChange::Password(hash)) => accounts::rehash(tx, account, &hash)?,
                Some(AccountChange::Disable) => accounts::disable(tx, account, now)?,
            }
            let few = || Ok::<_, StoreError>(count(tx, account)? <= FEW);
            if clock == ClockDoubt::WasSet && few()? {
                return sessions::end_each(tx, account, None, now);
            }
            end_all(tx, account, now)
        })
        .await
    }

    /// Replaces a password, ends the account's other sessions, and audits `why`: one compare-and-set. `None` when the account
    /// has another password hash than the checked one, or is disabled, or the session has ended.
    pub async fn change_password(
        &self,
        change: PasswordChange,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<Option<Vec<LogEntry>>, StoreError> {
        self.write(move |tx| {
            let PasswordChange { account, checked, hash, session } = change;
            let row = params![session.as_bytes(), account.as_bytes()];
            let is_live: bool = tx.prepare_cached(IS_LIVE)?.query_row(row, |row| row.get(0))?;
            if !is_live || !accounts::replace_hash(tx, account, &checked, &hash)? {
                return Ok(None);
            }
            audit::add(tx, &why)?;
            end_others(tx, account, session, now).map(Some)
        })
        .await
    }

    /// Ends every session, revokes all access tokens, and audits `why`.
    pub async fn end_every_session(&self, now: Timestamp, why: AuditEntry) -> Result<LogEntry, StoreError> {
        self.write(move |tx| {
            audit::add(tx, &why)?;
            end_every(tx, now)
        })
        .await
    }

    /// Replaces all keys of refresh tokens by `key`, ends every session, revokes all access tokens, and audits `why`.
    ///
    /// # Errors
    /// [`StoreError::OtherMasterKey`] when the stored keys are sealed with the master key of another epoch than `sealed_in`.
    pub async fn revoke_refresh_keys(
        &self,
        key: refresh_keys::SealedRefreshKey,
        sealed_in: MasterKeyEpoch,
        now: Timestamp,
        why: AuditEntry,
    ) -> Result<LogEntry, StoreError> {
        self.write(move |tx| {
            sealing::expect(tx, sealed_in)?;
            refresh_keys::replace_all(tx, &key, now)?;
            audit::add(tx, &why)?;
            end_every(tx, now)
        })
        .await
    }

    /// Whether the clock is behind the tokens that were minted. Then an entry with an instant would match tokens that are yet
    /// to be minted.
    pub fn is_clock_set_back(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.database.read(|connection| Ok(minted::is_set_back(minted::up_to(connection)?, now)))
    }

    /// The ids of at most `limit` sessions that were created before an instant, after the id `after`. Some may be over.
    pub fn sessions_before(
        &self,
        created: Timestamp,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(OLDER)?;
            let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
            let row = params![after, created.unix_millis(), limit];
            let rows = statement.query_map(row, |row| row.get(0).map(SessionId::from_bytes))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Ends these sessions, in one transaction. A session whose last access token has died gets no log entry.
    pub async fn end_some(&self, ids: Vec<SessionId>, now: Timestamp) -> Result<EndedSessions, StoreError> {
        self.write(move |tx| {
            let mut ended = EndedSessions { count: 0, entries: Vec::new() };
            for id in ids {
                let Some(minted_at) = sessions::revoke(tx, id, now)? else { continue };
                ended.count += 1;
                if revocations::may_match(tx, minted_at, now)? {
                    ended.entries.push(sessions::append(tx, id, now.max(minted_at))?);
                } else {
                    tx.prepare_cached(ENDED_BEFORE)?.execute([id.as_bytes()])?;
                }
            }
            Ok(ended)
        })
        .await
    }

    /// Deletes at most a thousand sessions of an account. Returns whether there were so many.
    pub async fn remove_sessions_of(&self, account: AccountId) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let removed = tx.execute(REMOVE_SOME, params![account.as_bytes(), PORTION])?;
            Ok(removed == PORTION as usize)
        })
        .await
    }
}

/// Ends all sessions of an account and revokes its access tokens, in the caller's transaction.
///
/// When the clock was set back, the sessions are ended one by one. An entry for the account would match tokens up to the
/// mint watermark, which is in the future, so a new login would get tokens that can't be used yet.
pub(super) fn end_all(
    tx: &Connection,
    account: AccountId,
    now: Timestamp,
) -> Result<Vec<LogEntry>, StoreError> {
    if minted::is_set_back(minted::up_to(tx)?, now) {
        return sessions::end_each(tx, account, None, now);
    }
    tx.prepare_cached(NEXT_EPOCH)?.execute([])?;
    tx.prepare_cached(END_OF_ACCOUNT)?.execute(params![now.unix_millis(), account.as_bytes()])?;
    let subject = account.to_string().parse().map_err(|_| StoreError::Damaged("an account's id"))?;
    let revocation = Revocation::Account(subject, NumericDate::from_unix_seconds(now.unix_seconds()));
    Ok(vec![revocations::append(tx, revocation, now)?])
}

/// Ends the sessions of an account but for `spared`. Of a few, each gets an entry, and the tokens of `spared` stay good. Of
/// many, `spared` has to be refreshed.
fn end_others(
    tx: &Connection,
    account: AccountId,
    spared: SessionId,
    now: Timestamp,
) -> Result<Vec<LogEntry>, StoreError> {
    if count(tx, account)? <= FEW {
        return sessions::end_each(tx, account, Some(spared), now);
    }
    let entries = end_all(tx, account, now)?;
    tx.prepare_cached(SPARE)?.execute([spared.as_bytes()])?;
    Ok(entries)
}

fn count(tx: &Connection, account: AccountId) -> rusqlite::Result<i64> {
    tx.prepare_cached(COUNT)?.query_row([account.as_bytes()], |row| row.get(0))
}

fn end_every(tx: &Connection, now: Timestamp) -> Result<LogEntry, StoreError> {
    tx.execute(END_ALL, [now.unix_millis()])?;
    let now_seconds = NumericDate::from_unix_seconds(now.unix_seconds());
    revocations::append(tx, Revocation::Everything(now_seconds), now)
}
