//! `auth-service session …`: lists and ends sessions.

use clap::{Arg, ArgAction, ArgMatches, Command};
use countermark_service::exit::Failure;
use serde_json::{Value, json};

use super::{
    open::{account, failed},
    output,
};
use crate::{
    domain::session::Session,
    ops::{AuthService, sessions::end::Ended},
};

/// The definition of the subcommand.
#[must_use]
pub fn command() -> Command {
    Command::new("session")
        .about("List and end sessions")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("list")
                .about("List the live sessions of an account, oldest first")
                .arg(Arg::new("account").value_name("EMAIL|ID").required(true).help("The account"))
                .arg(output::json_flag()),
        )
        .subcommand(
            Command::new("revoke")
                .about("End a session, and revoke its access tokens")
                .arg(Arg::new("session").value_name("ID").required(true).help("The session"))
                .arg(
                    Arg::new("wait")
                        .long("wait")
                        .action(ArgAction::SetTrue)
                        .help("Wait at most 5 s until every verifier that watches refuses its tokens; exit 1 when one may not"),
                )
                .arg(output::json_flag()),
        )
}

/// Runs the subcommand.
///
/// # Errors
/// [`Failure`] when an argument is invalid, the operation fails, or a verifier does not confirm with `--wait`.
pub async fn run(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("list", matches)) => list(auth, matches),
        Some((_, matches)) => revoke(auth, matches).await,
        None => Ok(()),
    }
}

fn list(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let name = matches.get_one::<String>("account").map_or("", String::as_str);
    let account = account(auth, name)?;
    let row = |session: Session| -> Vec<Value> {
        vec![
            session.id.to_string().into(),
            session.device.user_agent.into(),
            session.device.address.into(),
            session.created_at.to_string().into(),
            session.rotated_at.to_string().into(),
        ]
    };
    let mut listing =
        output::Listing::new(matches, &["ID", "Device", "Address", "Created at", "Last used at"]);
    let mut last = None;
    loop {
        let page = auth.sessions_after(account.id, last.as_ref(), output::PAGE).map_err(failed)?;
        listing.page(page.0.into_iter().map(row).collect())?;
        let Some(next) = page.1 else { break };
        last = Some(next);
    }
    listing.end()
}

async fn revoke(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let id = matches.get_one::<String>("session").map_or("", String::as_str);
    let parsed = id.parse().map_err(|_| Failure::start(format!("{id:?} is no session's id")))?;
    let Ended { was_live, revoked } = auth.revoke_session(parsed).await.map_err(failed)?;
    let mut sentence = format!("{id} {}", if was_live { "ended" } else { "was over already" });
    let mut object = json!({"id": id, "ended": was_live});
    if !matches.get_flag("wait") {
        return output::said(matches, &sentence, &object);
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
        sentence.push_str(", and every verifier that watches refuses its tokens");
        return output::said(matches, &sentence, &object);
    }
    sentence = format!("{sentence}, but its access tokens may still be accepted by: {}", names.join(", "));
    output::said(matches, &sentence, &object)?;
    Err(Failure::start("not every verifier has confirmed; `auth-service doctor` says why"))
}
