//! `auth-service refresh-key …`: lists, rotates and revokes the keys that refresh tokens are derived from.

use clap::{ArgMatches, Command};
use countermark_service::exit::Failure;
use serde_json::json;

use super::{open::failed, output, wait};
use crate::ops::AuthService;

/// The definition of the subcommand.
#[must_use]
pub fn command() -> Command {
    Command::new("refresh-key")
        .about("Manage the keys that refresh tokens are derived from")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("List the keys, oldest first").arg(output::json_flag()))
        .subcommand(
            Command::new("rotate")
                .about("Add a new key for new refresh tokens; nobody is logged out")
                .after_help(
                    "The new key is used ten seconds later, when every running service has read it. Refresh tokens of older\n\
                     keys stay valid until their sessions end. Then the older keys are removed.",
                )
                .arg(output::json_flag()),
        )
        .subcommand(
            Command::new("revoke")
                .about("Revoke all keys and make a new one: every session ends, every access token is revoked")
                .after_help("For a key that somebody else may have. Users log in again; programs request new tokens.")
                .arg(wait::flag())
                .arg(output::json_flag()),
        )
}

/// Runs the subcommand.
pub async fn run(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("list", matches)) => list(auth, matches),
        Some(("revoke", matches)) => {
            let revoked = auth.revoke_refresh_keys().await.map_err(failed)?;
            let sentence = "all refresh keys were replaced, and every session ended";
            wait::said(auth, matches, revoked, sentence, json!({"revoked": true})).await
        }
        Some((_, matches)) => rotate(auth, matches).await,
        None => Ok(()),
    }
}

fn list(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let keys = auth.keys.listed_refresh_keys().map_err(failed)?;
    let rows = keys.into_iter().map(|key| vec![key.version.get().into(), key.signs_from.to_string().into()]);
    output::rows(matches, &["Version", "Used from"], rows.collect())
}

async fn rotate(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let key = auth.keys.replace_refresh_key().await.map_err(failed)?;
    let (version, from) = (key.version.get(), key.signs_from.to_string());
    let sentence = format!("new refresh tokens are made with version {version} from {from} on");
    output::said(matches, &sentence, &json!({"version": version, "used_from": from}))
}
