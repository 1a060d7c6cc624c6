//! `auth-service session …`: lists and ends sessions.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};
use countermark_service::exit::Failure;
use serde_json::{Value, json};

use super::{
    open::{account, failed},
    output, wait,
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
                .about("End sessions, and revoke their access tokens: one, those of an account, old ones, or all")
                .after_help(
                    "--all revokes every access token, those of programs included: they request new ones. Users log in again.\n\
                     --account revokes the account's tokens, also those that services got in exchange for them.",
                )
                .arg(Arg::new("session").value_name("ID").help("The session"))
                .arg(Arg::new("account").long("account").value_name("EMAIL|ID").help("End the sessions of that account"))
                .arg(
                    Arg::new("older-than")
                        .long("older-than")
                        .value_name("AGE")
                        .help("End the sessions whose login was longer ago, for example 30d or 12h")
                        .value_parser(humantime::parse_duration),
                )
                .arg(Arg::new("all").long("all").action(ArgAction::SetTrue).help("End every session"))
                .group(
                    ArgGroup::new("which").args(["session", "account", "older-than", "all"]).required(true),
                )
                .arg(wait::flag())
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
        let page = auth.sessions_after(account.id, last, output::PAGE).map_err(failed)?;
        listing.page(page.0.into_iter().map(row).collect())?;
        let Some(next) = page.1 else { break };
        last = Some(next);
    }
    listing.end()
}

async fn revoke(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    if let Some(name) = matches.get_one::<String>("account") {
        let account = account(auth, name)?;
        let revoked = auth.revoke_sessions_of(account.id).await.map_err(failed)?;
        let sentence = format!("the sessions of {} ended", account.email.as_str());
        return wait::said(auth, matches, revoked, &sentence, json!({"account": account.id.to_string()}))
            .await;
    }
    if let Some(&age) = matches.get_one::<Duration>("older-than") {
        let ended = auth.revoke_sessions_older_than(age).await.map_err(failed)?;
        let noun = if ended.count == 1 { "session" } else { "sessions" };
        let age = humantime::format_duration(age);
        let sentence = format!("{} {noun} ended: those whose login was longer than {age} ago", ended.count);
        return wait::said(auth, matches, ended.revoked, &sentence, json!({"ended": ended.count})).await;
    }
    if matches.get_flag("all") {
        let revoked = auth.revoke_every_session().await.map_err(failed)?;
        return wait::said(auth, matches, revoked, "every session ended", json!({"all": true})).await;
    }
    let id = matches.get_one::<String>("session").map_or("", String::as_str);
    let parsed = id.parse().map_err(|_| Failure::start(format!("{id:?} is no session's id")))?;
    let Ended { was_live, revoked } = auth.revoke_session(parsed).await.map_err(failed)?;
    let sentence = format!("{id} {}", if was_live { "ended" } else { "was over already" });
    wait::said(auth, matches, revoked, &sentence, json!({"id": id, "ended": was_live})).await
}
