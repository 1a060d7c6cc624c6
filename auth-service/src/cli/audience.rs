//! `auth-service audience …`: adds, removes and lists audiences.

use clap::{Arg, ArgMatches, Command};
use countermark::verify::Audience;
use countermark_service::exit::Failure;
use serde_json::json;

use super::{
    client::{scope, several, values},
    open::failed,
    output,
};
use crate::{domain::audience::RegisteredAudience, ops::AuthService};

/// The definition of the subcommand.
#[must_use]
pub fn command() -> Command {
    Command::new("audience")
        .about("Resource servers, and the scopes that they own")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("add")
                .about("Register an audience, or replace the scopes of a registered one")
                .arg(Arg::new("id").value_name("ID").required(true).help("The value of `aud` in its tokens"))
                .arg(several("scope", "SCOPE", "A scope that the audience owns; may be given several times"))
                .arg(several(
                    "default-scope",
                    "SCOPE",
                    "A scope that the audience owns and that a login grants by default; may be given several times",
                ))
                .arg(output::json_flag()),
        )
        .subcommand(
            Command::new("remove")
                .about("Remove an audience that no client and no setting names, with its scopes")
                .after_help("A bootstrap file that still names the audience registers it again at the next start.")
                .arg(Arg::new("id").value_name("ID").required(true).help("The audience"))
                .arg(output::json_flag()),
        )
        .subcommand(Command::new("list").about("List audiences, by id").arg(output::json_flag()))
}

/// Runs the subcommand.
pub async fn run(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("add", matches)) => add(auth, matches).await,
        Some(("remove", matches)) => remove(auth, matches).await,
        Some((_, matches)) => list(auth, matches),
        None => Ok(()),
    }
}

async fn add(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let id = matches.get_one::<String>("id").map_or("", String::as_str);
    let default_scopes = scope(values(matches, "default-scope"))?;
    let scopes = scope(values(matches, "scope"))?.union(&default_scopes);
    let audience =
        RegisteredAudience::new(Audience::new(id), scopes, default_scopes).map_err(Failure::start)?;
    auth.put_audience(audience).await.map_err(failed)?;
    output::said(matches, &format!("{id} registered"), &json!({"id": id}))
}

async fn remove(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let id = matches.get_one::<String>("id").map_or("", String::as_str);
    let removed = auth.remove_audience(Audience::new(id)).await;
    removed.map_err(|error| Failure::start(format!("{id:?}: {error}")))?;
    output::said(matches, &format!("{id} removed"), &json!({"id": id, "removed": true}))
}

fn list(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let rows = auth.audiences().into_iter().map(|audience| {
        vec![
            audience.id.as_str().into(),
            audience.scopes.iter().collect::<Vec<_>>().into(),
            audience.default_scopes.iter().collect::<Vec<_>>().into(),
        ]
    });
    output::rows(matches, &["ID", "Scopes", "Default scopes"], rows.collect())
}
