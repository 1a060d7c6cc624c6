//! `--wait`: a command waits until its revocation holds at every verifier that watches, and says where it may not.

use clap::{Arg, ArgAction, ArgMatches};
use countermark::verify::Audience;
use countermark_service::exit::Failure;
use serde_json::{Value, json};

use super::{open::failed, output};
use crate::ops::{
    AuthService,
    watch::barrier::{Incomplete, Revoked},
};

/// The flag `--wait`.
#[must_use]
pub fn flag() -> Arg {
    Arg::new("wait").long("wait").action(ArgAction::SetTrue).help(
        "Wait at most 5 s until every verifier that watches refuses the revoked tokens; exit 1 when one may not",
    )
}

/// Says what was done. With `--wait`, waits first, and says at which verifiers it may not hold yet.
///
/// # Errors
/// [`Failure`] when the database fails, or a verifier does not confirm.
pub async fn said(
    auth: &AuthService,
    matches: &ArgMatches,
    revoked: Revoked,
    sentence: &str,
    mut object: Value,
) -> Result<(), Failure> {
    if !matches.get_flag("wait") {
        return output::said(matches, sentence, &object);
    }
    let confirmed = auth.watch.confirm(revoked).await.map_err(failed)?;
    let unconfirmed = &confirmed.unconfirmed;
    let names: Vec<_> = unconfirmed.iter().map(|watcher| watcher.who.name.as_str()).collect();
    object["complete"] = confirmed.is_complete().into();
    object["unconfirmed"] = unconfirmed
        .iter()
        .map(|watcher| json!({"name": watcher.who.name, "policy": watcher.who.policy.as_str()}))
        .collect::<Value>();
    if confirmed.is_complete() {
        let sentence = format!("{sentence}, and every verifier that watches refuses the revoked tokens");
        return output::said(matches, &sentence, &object);
    }
    if !confirmed.unwatched.is_empty() {
        object["unwatched"] = confirmed.unwatched.iter().map(Audience::as_str).collect::<Value>();
    }
    if let Some(reason) = confirmed.incomplete {
        object["reason"] = reason.as_str().into();
    }
    let unwatched = confirmed.unwatched.iter();
    let unwatched =
        unwatched.map(|audience| format!("verifiers of {}, of which none watches", audience.as_str()));
    let mut names: Vec<_> = names.into_iter().map(str::to_owned).chain(unwatched).collect();
    if matches!(confirmed.incomplete, Some(Incomplete::Recovered | Incomplete::Busy)) {
        names.push("verifiers that are not known here".to_owned());
    }
    let names = names.join(", ");
    let sentence = format!("{sentence}, but revoked tokens may still be accepted by: {names}");
    output::said(matches, &sentence, &object)?;
    Err(Failure::start("not every verifier has confirmed; `auth-service doctor` says why"))
}
