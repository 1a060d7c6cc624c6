//! `auth-service recover`: makes a database that lost writes safe to use.

use std::sync::Arc;

use clap::{ArgMatches, Command};
use countermark_service::exit::Failure;
use serde_json::{Value, json};

use super::{open::failed, output};
use crate::ops::AuthService;

/// The definition of the subcommand.
#[must_use]
pub fn command() -> Command {
    Command::new("recover")
        .about("Make a database that lost writes safe to use: everybody logs in again")
        .after_help(
            "For a database that was restored from a copy, or that a start refuses because it is behind its mark. It begins a \
             new revocation log, ends every session, replaces and revokes every signing key and refresh key, and revokes all \
             tokens. Then start the service. What it can't know, it lists.",
        )
        .arg(output::json_flag())
}

/// What a recovery can't know.
const UNKNOWN: &[&str] = &[
    "passwords that were changed",
    "roles that were taken away",
    "accounts that were added, disabled or deleted",
    "clients and secrets that were added, disabled or retired",
    "invitations that were used",
];

/// Runs the subcommand.
pub async fn run(auth: Arc<AuthService>, matches: &ArgMatches) -> Result<(), Failure> {
    let (sentence, object) = recover(&auth).await?;
    output::said(matches, &sentence, &object)
}

/// Recovers the database. Returns what was done, as a text and as JSON.
pub async fn recover(auth: &AuthService) -> Result<(String, Value), Failure> {
    let done = auth.recover().await.map_err(failed)?;
    let kids: Vec<_> = done.kids.iter().map(ToString::to_string).collect();
    let reason = done.reason.as_deref().unwrap_or("nothing showed that the database lost writes");
    let sentence = format!(
        "Reason: {reason}.\nA new revocation log has begun. {} sessions ended. {} signing keys are revoked, {} signs. All \
         tokens up to {} are revoked. Everybody has to log in again.\nCheck what happened after the copy, for it can't be \
         known here:\n  - {}",
        done.sessions,
        kids.len(),
        done.signs,
        done.everything_before,
        UNKNOWN.join("\n  - "),
    );
    let object = json!({
        "reason": done.reason,
        "sessions_ended": done.sessions,
        "keys_revoked": kids,
        "signs": done.signs,
        "everything_before": done.everything_before.to_string(),
        "unknown": UNKNOWN,
    });
    Ok((sentence, object))
}
