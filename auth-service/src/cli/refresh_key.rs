//! `auth-service refresh-key …`: the keys that refresh tokens are made with.

use clap::{ArgMatches, Command};
use countermark_service::exit::Failure;
use serde_json::json;

use super::{open::failed, output};
use crate::ops::AuthService;

/// The subcommand.
#[must_use]
pub fn command() -> Command {
    Command::new("refresh-key")
        .about("Keys that refresh tokens are made with: seen and replaced")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("List the keys, oldest first").arg(output::json_flag()))
        .subcommand(
            Command::new("rotate")
                .about("Make new refresh tokens with a new key; nobody is logged out")
                .after_help(
                    "The new key is used from ten seconds on, when every running service has read it. Refresh tokens of the\n\
                     older keys stay good until their sessions end; then those keys are forgotten.",
                )
                .arg(output::json_flag()),
        )
}

/// Runs it.
///
/// # Errors
/// [`Failure`] says what could not be done.
pub async fn run(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("list", matches)) => list(auth, matches),
        Some((_, matches)) => rotate(auth, matches).await,
        None => Ok(()),
    }
}

fn list(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let keys = auth.listed_refresh_keys().map_err(failed)?;
    let rows = keys.into_iter().map(|key| vec![key.version.into(), key.signs_from.to_string().into()]);
    output::rows(matches, &["Version", "Used from"], rows.collect())
}

async fn rotate(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let key = auth.replace_refresh_key().await.map_err(failed)?;
    let (version, from) = (key.version, key.signs_from.to_string());
    let sentence = format!("version {version} makes new refresh tokens from {from} on");
    output::said(matches, &sentence, &json!({"version": version, "used_from": from}))
}
