//! `auth-service key …`: lists, rotates and revokes the signing keys, and reseals all keys with a new master key.

use std::{path::PathBuf, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use countermark::verify::Kid;
use countermark_service::exit::Failure;
use serde_json::json;

use super::{open::failed, output};
use crate::{
    domain::signing_key::KeyState,
    ops::{AuthService, keys::rotation::KeyStatus},
};

/// Poll interval of `rotate --wait`.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// `rotate --wait` prints its progress once in this many polls.
const POLLS_PER_MESSAGE: u32 = 30;

/// The definition of the subcommand.
#[must_use]
pub fn command() -> Command {
    Command::new("key")
        .about("Manage the keys that sign access tokens, and the master key that encrypts all keys")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("list").about("List the signing keys, oldest first").arg(output::json_flag()))
        .subcommand(
            Command::new("rotate")
                .about("Activate the next key, as soon as every verifier can have it; no token becomes invalid")
                .after_help(
                    "The next key is published already. It becomes active when every verifier that watches has\n\
                     acknowledged it and AUTH_JWKS_MAX_AGE has passed since its publication. A running service activates it.",
                )
                .arg(
                    Arg::new("wait")
                        .long("wait")
                        .action(ArgAction::SetTrue)
                        .help("Wait until the key is active; prints on stderr what the rotation waits for"),
                )
                .arg(output::json_flag()),
        )
        .subcommand(
            Command::new("revoke")
                .about("Revoke a stolen key at once: its tokens are refused, and the next key becomes active")
                .after_help(
                    "Verifiers that watch refuse its tokens at once. Verifiers that only fetch the key set refuse them within\n\
                     AUTH_JWKS_MAX_AGE. Sessions go on: a refresh gives a token that another key signed.",
                )
                .arg(Arg::new("kid").value_name("KID").required(true).help("The kid of the key").value_parser(value_parser!(Kid)))
                .arg(output::json_flag()),
        )
        .subcommand(
            Command::new("reseal")
                .about("Seal all keys with a new master key, while services run")
                .after_help(
                    "Afterwards, put the new file at the path in AUTH_MASTER_KEY_FILE, or set AUTH_MASTER_KEY_FILE to its path.\n\
                     Running services load it within a second, and keep working meanwhile.",
                )
                .arg(
                    Arg::new("new-master-key-file")
                        .long("new-master-key-file")
                        .value_name("PATH")
                        .required(true)
                        .value_parser(value_parser!(PathBuf))
                        .help("File of the new master key; created when absent"),
                )
                .arg(output::json_flag()),
        )
}

/// Runs the subcommand.
pub async fn run(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("list", matches)) => list(auth, matches),
        Some(("rotate", matches)) => rotate(auth, matches).await,
        Some(("revoke", matches)) => revoke(auth, matches).await,
        Some((_, matches)) => reseal(auth, matches).await,
        None => Ok(()),
    }
}

fn list(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let row = |own: KeyStatus| {
        let times = own.key.times;
        let may_sign_at = (own.state() == KeyState::Next).then_some(own.may_sign_at);
        let at = |at: Option<countermark::clock::Timestamp>| at.map(|at| at.to_string()).into();
        vec![
            own.key.kid.to_string().into(),
            own.state().as_str().into(),
            times.published_at.to_string().into(),
            at(times.active_at.or(may_sign_at)),
            at(times.retired_at),
            at(own.goes_at),
        ]
    };
    let headings = ["KID", "State", "Published at", "Signs from", "Retired at", "Goes at"];
    output::rows(matches, &headings, auth.keys.key_statuses().map_err(failed)?.into_iter().map(row).collect())
}

async fn rotate(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let next = auth.keys.start_rotation().await.map_err(failed)?;
    let (kid, at) = (next.key.kid, next.may_sign_at.to_string());
    if matches.get_flag("wait") {
        let mut polls = 0_u32;
        while !auth.keys.has_rotated_to(&kid).map_err(failed)? {
            tokio::time::sleep(POLL_INTERVAL).await;
            polls += 1;
            if polls.is_multiple_of(POLLS_PER_MESSAGE) {
                let lacking = auth.keys.watchers_without_the_keys().map_err(failed)?;
                output::progress(&waiting_for(&at, &lacking))?;
            }
        }
        return output::said(matches, &format!("{kid} signs"), &json!({"kid": kid, "signs": true}));
    }
    let sentence = format!("{kid} signs from {at} on, or when the last verifier that watches has it");
    output::said(matches, &sentence, &json!({"kid": kid, "signs": false, "signs_from": at}))
}

/// A sentence about the conditions that a rotation waits for.
fn waiting_for(at: &str, lacking: &[String]) -> String {
    let verifiers = if lacking.is_empty() {
        "every verifier that watches has the key".to_owned()
    } else {
        format!("and for verifiers that watch and have not acknowledged it: {}", lacking.join(", "))
    };
    format!("waiting until {at}, {verifiers}; then a running auth-service on this database activates it")
}

async fn revoke(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let Some(kid) = matches.get_one::<Kid>("kid") else { return Ok(()) };
    auth.keys
        .revoke_signing_key(kid)
        .await
        .map_err(|error| Failure::start(format!("{:?}: {error}", kid.as_str())))?;
    let keys = auth.keys.key_statuses().map_err(failed)?;
    let active = keys.iter().find(|key| key.state() == KeyState::Active);
    let active = active.map_or("none", |key| key.key.kid.as_str());
    let sentence = format!("{kid} is revoked, with every token that it signed; {active} signs");
    output::said(matches, &sentence, &json!({"kid": kid, "active": active}))
}

async fn reseal(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let Some(path) = matches.get_one::<PathBuf>("new-master-key-file") else { return Ok(()) };
    let count = auth.keys.reseal(path).await.map_err(failed)?;
    let path = path.display();
    let sentence = format!(
        "{count} keys are sealed with {path}. Put it where AUTH_MASTER_KEY_FILE says, or have that name it: running services \
         take it up by themselves; a start needs it."
    );
    output::said(matches, &sentence, &json!({"keys": count, "master_key_file": path.to_string()}))
}
