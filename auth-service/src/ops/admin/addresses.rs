//! Accounts of earlier versions whose addresses would be refused today, or are spellings of one address.

use std::collections::HashMap;

use crate::{
    domain::{
        account::{Account, Email},
        diagnosis::{Doubt, Finding},
    },
    ops::{AuthService, Fault},
};

/// Accounts that are read at once.
const PAGE: u32 = 500;

/// The most findings of one kind that are listed.
const MOST: usize = 20;

impl AuthService {
    /// The enabled accounts with a doubtful address, and those whose addresses fall together. The first twenty of each.
    pub(super) fn doubtful_addresses(&self) -> Result<Vec<Finding>, Fault> {
        let (mut doubtful, mut same) = (Vec::new(), Vec::new());
        // By canonical form, those whose stored form is another.
        let mut respelled: HashMap<String, Email> = HashMap::new();
        let mut last: Option<Email> = None;
        loop {
            let page = self.context.store.accounts_after(last.as_ref(), PAGE)?;
            let Some(end) = page.last() else { break };
            last = Some(end.email.clone());
            for Account { email, .. } in page.into_iter().filter(Account::is_enabled) {
                let canonical = match email.as_str().parse::<Email>() {
                    Err(problem) => {
                        doubtful.push(Finding::Doubt(Doubt::Address(email, problem)));
                        continue;
                    }
                    Ok(canonical) if canonical == email => continue,
                    Ok(canonical) => canonical,
                };
                let twin = respelled.insert(canonical.as_str().to_owned(), email.clone());
                if let Some(twin) = twin.or(self.stored_as(&canonical)?) {
                    same.push(Finding::Doubt(Doubt::SameAddress(twin, email)));
                }
            }
        }
        doubtful.truncate(MOST);
        same.truncate(MOST);
        Ok(doubtful.into_iter().chain(same).collect())
    }

    /// The address of the enabled account that is stored in exactly this form.
    fn stored_as(&self, email: &Email) -> Result<Option<Email>, Fault> {
        let account = self.context.store.account_by_email(email.as_str())?;
        Ok(account
            .filter(|account| account.is_enabled() && account.email == *email)
            .map(|account| account.email))
    }
}
