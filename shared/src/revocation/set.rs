//! The set of what is revoked: asked for each request, so that a question is a few look-ups and never a wait.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::{PoisonError, RwLock},
};

use super::Revocation;
use crate::token::{Claims, Opaque, claims::NumericDate};

/// What is revoked.
#[derive(Clone, Debug, Default)]
pub struct RevocationSet {
    tokens: HashSet<Opaque>,
    sessions: HashSet<Opaque>,
    clients: HashMap<Opaque, NumericDate>,
    accounts: HashMap<Opaque, NumericDate>,
    keys: HashSet<Opaque>,
    everything: Option<NumericDate>,
}

impl RevocationSet {
    /// Adds an entry. Of two *before* entries for one subject the later holds.
    pub fn add(&mut self, revocation: Revocation) {
        match revocation {
            Revocation::Token(jti) => drop(self.tokens.insert(jti)),
            Revocation::Session(sid) => drop(self.sessions.insert(sid)),
            Revocation::Client(client, at) => later(self.clients.entry(client), at),
            Revocation::Account(account, at) => later(self.accounts.entry(account), at),
            Revocation::Key(kid) => drop(self.keys.insert(kid)),
            Revocation::Everything(at) => self.everything = self.everything.max(Some(at)),
        }
    }

    /// Takes an entry away that no living token can match any more. A later *before* entry for the same subject stays.
    pub fn forget(&mut self, revocation: &Revocation) {
        match revocation {
            Revocation::Token(jti) => drop(self.tokens.remove(jti)),
            Revocation::Session(sid) => drop(self.sessions.remove(sid)),
            Revocation::Client(client, at) => forget_before(&mut self.clients, client, *at),
            Revocation::Account(account, at) => forget_before(&mut self.accounts, account, *at),
            Revocation::Key(kid) => drop(self.keys.remove(kid)),
            Revocation::Everything(at) => self.everything = self.everything.filter(|held| held > at),
        }
    }

    /// Whether a token with those claims, signed with the key `kid`, is revoked. One that doesn't say when it was minted
    /// is matched by every *before* entry.
    #[must_use]
    pub fn revokes(&self, claims: &Claims, kid: &str) -> bool {
        let iat = claims.iat.unwrap_or(NumericDate::from_unix_seconds(0));
        let is_before = |at: Option<&NumericDate>| at.is_some_and(|&at| iat <= at);
        claims.jti.as_ref().is_some_and(|jti| self.tokens.contains(jti))
            || claims.sid.as_ref().is_some_and(|sid| self.sessions.contains(sid))
            || is_before(claims.client_id.as_ref().and_then(|client| self.clients.get(client)))
            || is_before(self.accounts.get(&claims.sub))
            || is_before(self.everything.as_ref())
            || self.keys.contains(kid)
    }

    /// The latest instant up to which tokens of that account and client are revoked: the issuer mints later ones only.
    #[must_use]
    pub fn revoked_up_to(&self, account: &str, client: &str) -> Option<NumericDate> {
        let subjects = [self.accounts.get(account), self.clients.get(client), self.everything.as_ref()];
        subjects.into_iter().flatten().max().copied()
    }
}

/// A set that one task changes while requests ask it. Locked for look-ups alone.
#[derive(Debug, Default)]
pub struct Revocations(RwLock<RevocationSet>);

impl Revocations {
    /// Asks the set.
    pub fn read<T>(&self, ask: impl FnOnce(&RevocationSet) -> T) -> T {
        ask(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the set.
    pub fn change(&self, change: impl FnOnce(&mut RevocationSet)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

fn later(entry: Entry<'_, Opaque, NumericDate>, at: NumericDate) {
    let held = entry.or_insert(at);
    *held = at.max(*held);
}

fn forget_before(held: &mut HashMap<Opaque, NumericDate>, subject: &Opaque, at: NumericDate) {
    if held.get(subject).is_some_and(|&held| held <= at) {
        held.remove(subject);
    }
}
