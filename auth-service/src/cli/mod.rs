//! Door three: the command line. Without a subcommand the service runs.

pub mod audience;
pub mod audit;
pub mod client;
pub mod doctor;
pub mod hall;
pub mod import;
pub mod init;
pub mod key;
pub mod output;
pub mod refresh_key;
pub mod session;
pub mod user;

use std::{env, ffi::OsString, process::ExitCode};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use shared::service::{
    exit::{self, Failure},
    ops::healthcheck,
    settings::{Settings, arguments},
    shutdown,
    surroundings::Surroundings,
    telemetry,
};

use crate::{
    app::App,
    config::{Config, SETTINGS},
};

/// Runs the program; `arguments` begin with its own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    exit::report(
        command()
            .try_get_matches_from(arguments)
            .map_err(Failure::from)
            .and_then(|matches| dispatch(&matches)),
    )
}

fn command() -> Command {
    Command::new("auth-service")
        .about("Countermark's issuer: accounts, sessions, RS256 access tokens, JWKS, introspection")
        .after_help("Without a subcommand the service runs until SIGTERM or Ctrl-C.")
        .version(env!("CARGO_PKG_VERSION"))
        .args(arguments(SETTINGS))
        .subcommand(Command::new("healthcheck").about("Exit 0 when the running service is ready, 1 when not"))
        .subcommand(user::command())
        .subcommand(session::command())
        .subcommand(client::command())
        .subcommand(audience::command())
        .subcommand(key::command())
        .subcommand(doctor::command())
        .subcommand(refresh_key::command())
        .subcommand(audit::command())
        .subcommand(
            Command::new("init")
                .about("Make the secrets of a deployment, once; what is there already is kept")
                .arg(
                    Arg::new("dir")
                        .long("dir")
                        .value_name("DIR")
                        .help("Where they go")
                        .default_value("secrets")
                        .value_parser(value_parser!(std::path::PathBuf)),
                )
                .arg(
                    Arg::new("demo-account")
                        .long("demo-account")
                        .action(ArgAction::SetTrue)
                        .help("Add the account test@example.com with the password \"password\""),
                ),
        )
}

fn dispatch(matches: &ArgMatches) -> Result<(), Failure> {
    if let Some(("init", matches)) = matches.subcommand() {
        return init::run(matches);
    }
    let settings =
        Settings::collect(SETTINGS, matches, |name| Some(env::var_os(name)?.to_string_lossy().into_owned()))?;
    match matches.subcommand() {
        Some(("healthcheck", _)) => healthcheck(settings.parse("AUTH_OPS_ADDR")?).map_err(Failure::Start),
        Some(("user", matches)) => hall::with(&settings, async |hall| user::run(&hall, matches).await),
        Some(("session", matches)) => hall::with(&settings, async |hall| session::run(&hall, matches).await),
        Some(("client", matches)) => hall::with(&settings, async |hall| client::run(&hall, matches).await),
        Some(("audience", matches)) => {
            hall::with(&settings, async |hall| audience::run(&hall, matches).await)
        }
        Some(("doctor", matches)) => hall::with(&settings, async |hall| doctor::run(&hall, matches).await),
        Some(("key", matches)) => hall::with(&settings, async |hall| key::run(&hall, matches).await),
        Some(("refresh-key", matches)) => {
            hall::with(&settings, async |hall| refresh_key::run(&hall, matches).await)
        }
        Some(("audit", matches)) => hall::with(&settings, async |hall| audit::run(&hall, matches)),
        Some(_) | None => serve(&settings),
    }
}

fn serve(settings: &Settings) -> Result<(), Failure> {
    let config = Config::parse(settings)?;
    // In a process that logs already, that log goes on.
    let _ = telemetry::install(settings.parse("AUTH_LOG")?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::start)?;
    runtime.block_on(async {
        let stop = shutdown::stop_on_signals().map_err(Failure::start)?;
        App::bind(config, Surroundings::default()).await?.run(stop).await;
        Ok(())
    })
}
