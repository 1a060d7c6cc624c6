//! The doctor: lists the watchers, and finds what is wrong with them.

use crate::{
    domain::{
        client::ClientId,
        client_keys::public_keys,
        diagnosis::{Baseline, Doubt, Finding, Warning, findings},
        watcher::{Watcher, WatcherIdentity},
    },
    ops::{AuthService, Fault},
};

/// What was found.
#[derive(Debug)]
pub struct Diagnosis {
    /// The watchers, and those that have vanished.
    pub watchers: Vec<Watcher>,
    /// What the watchers are compared with.
    pub standard: Baseline,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What will be wrong with stricter settings.
    pub warnings: Vec<Warning>,
}

impl AuthService {
    /// A mark that lacks the writes of a second ago.
    fn mark_finding(&self, writes_before: u64) -> Option<Finding> {
        let mark = self.context.store.mark_file()?;
        let is_current = mark.read().is_ok_and(|mark| mark.is_some_and(|mark| mark.writes >= writes_before));
        (!is_current).then(|| Finding::MarkBehind(mark.path().display().to_string()))
    }

    /// Looks at every watcher, at every process. It takes a second or two: a watcher whose process is dead looks alive
    /// at first.
    pub async fn diagnose(&self) -> Result<Diagnosis, Fault> {
        self.context.feed.catch_up()?;
        let writes_before = self.context.store.writes()?;
        let head = self.context.feed.head();
        let key_set_before = self.keys.published().version.clone();
        let rows = self.watch.settled_rows().await?;
        self.keys.catch_up_with_signing_keys()?;
        let watchers = self.watch.with_local(&rows, head);
        let standard = Baseline {
            head: head.seq,
            key_sets: vec![key_set_before, self.keys.published().version.clone()],
            now: self.context.clock.now(),
        };
        let registry = self.context.registry.now();
        let audiences: Vec<_> = registry.audiences().iter().map(|audience| audience.id.clone()).collect();
        let is_for = |who: &WatcherIdentity, audience: &_| {
            registry.client(&who.client).is_some_and(|client| client.audiences.contains(audience))
        };
        let lost = self.context.store.went_back();
        let mut found: Vec<_> = lost.iter().map(|lost| Finding::WentBack(lost.to_string())).collect();
        found.extend(self.mark_finding(writes_before));
        found.extend(findings(&watchers, &audiences, &standard, is_for));
        found.extend(self.doubtful_addresses()?);
        for client in registry.clients() {
            let doubt = client.jwks.as_deref().and_then(|jwks| public_keys(jwks).err());
            found.extend(doubt.map(|doubt| Finding::Doubt(Doubt::Keys(client.id.clone(), doubt))));
        }
        let watches = |id: &ClientId| watchers.iter().any(|watcher| watcher.who.client == *id);
        let lacking = self.clients_without_the_watch_scope().into_iter().filter(watches);
        let owned = self.owners_of_built_in_scopes().into_iter();
        let owned = owned.map(|(audience, scope)| Warning::BuiltInScope(audience, scope));
        let warnings = lacking.map(Warning::WatchScope).chain(owned).collect();
        Ok(Diagnosis { watchers, standard, findings: found, warnings })
    }
}
