//! The command line interface. Without a subcommand it runs the service.

pub mod audience;
pub mod audit;
pub mod backup;
pub mod client;
pub mod doctor;
pub mod import;
pub mod init;
pub mod key;
pub mod open;
pub mod output;
pub mod recover;
pub mod refresh_key;
pub mod session;
pub mod user;
pub mod wait;

use std::{env, ffi::OsString, process::ExitCode, sync::LazyLock};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use countermark_service::{
    env::Env,
    exit::{self, Failure},
    ops::healthcheck,
    settings::{Settings, usual_files, warn_of_unknown_variables, with_settings},
    shutdown::{self, Hangups},
    telemetry,
    version::version,
};

use crate::{
    app::App,
    config::{Config, SETTINGS},
    store::SCHEMA,
};

static VERSION: LazyLock<String> = LazyLock::new(|| version(env!("CARGO_PKG_VERSION"), &SCHEMA));

/// Runs the program. `arguments` begin with the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    exit::report(
        command()
            .try_get_matches_from(arguments)
            .map_err(Failure::from)
            .and_then(|matches| dispatch(&matches)),
    )
}

fn command() -> Command {
    let program = Command::new("auth-service")
        .about("Countermark's issuer: accounts, sessions, RS256 access tokens, JWKS, introspection")
        .after_help("Without a subcommand the service runs until SIGTERM or Ctrl-C.")
        .version(VERSION.as_str())
        .subcommand(
            Command::new("healthcheck").about("Exit 0 when the running service is ready, 1 when it is not"),
        )
        .subcommand(user::command())
        .subcommand(session::command())
        .subcommand(client::command())
        .subcommand(audience::command())
        .subcommand(key::command())
        .subcommand(doctor::command())
        .subcommand(refresh_key::command())
        .subcommand(audit::command())
        .subcommand(recover::command())
        .subcommand(backup::backup_command())
        .subcommand(backup::restore_command())
        .subcommand(
            Command::new("init")
                .about("Create the secrets of a deployment; existing files are kept")
                .arg(output::json_flag())
                .arg(
                    Arg::new("dir")
                        .long("dir")
                        .value_name("DIR")
                        .help("The folder of the secrets")
                        .default_value("secrets")
                        .value_parser(value_parser!(std::path::PathBuf)),
                )
                .arg(
                    Arg::new("demo-account")
                        .long("demo-account")
                        .action(ArgAction::SetTrue)
                        .help("Add the account test@example.com with the password \"password\""),
                ),
        );
    with_settings(program, SETTINGS)
}

fn dispatch(matches: &ArgMatches) -> Result<(), Failure> {
    if let Some(("init", matches)) = matches.subcommand() {
        return init::run(matches);
    }
    if let Some(("audit", matches)) = matches.subcommand()
        && let Some(outcome) = audit::verify_file(matches)
    {
        return outcome;
    }
    let settings =
        Settings::collect(SETTINGS, matches, &usual_files("auth-service"), |name| env::var_os(name))?;
    match matches.subcommand() {
        Some(("healthcheck", _)) => healthcheck(settings.address("AUTH_OPS_ADDR")?).map_err(Failure::Start),
        Some(("user", matches)) => open::with(&settings, async |auth| user::run(&auth, matches).await),
        Some(("session", matches)) => open::with(&settings, async |auth| session::run(&auth, matches).await),
        Some(("client", matches)) => open::with(&settings, async |auth| client::run(&auth, matches).await),
        Some(("audience", matches)) => {
            open::with(&settings, async |auth| audience::run(&auth, matches).await)
        }
        Some(("doctor", matches)) => open::with(&settings, async |auth| doctor::run(&auth, matches).await),
        Some(("key", matches)) => open::with(&settings, async |auth| key::run(&auth, matches).await),
        Some(("refresh-key", matches)) => {
            open::with(&settings, async |auth| refresh_key::run(&auth, matches).await)
        }
        Some(("backup", matches)) => backup::run(&settings, matches),
        Some(("restore", matches)) => backup::restore(&settings, matches),
        Some(("recover", matches)) => {
            open::to_recover(Config::parse(&settings)?, async |auth| recover::run(auth, matches).await)
        }
        Some(("audit", matches)) => open::with(&settings, async |auth| audit::run(&auth, matches).await),
        Some(_) | None => serve(&settings),
    }
}

/// What there is to say about SIGHUP.
const SIGHUP: &str =
    "certificates are read again every second without it; other settings are read at the start";

fn serve(settings: &Settings) -> Result<(), Failure> {
    let config = Config::parse(settings)?;
    // If a logger is installed already (in tests and the quickstart), it stays.
    let _ = telemetry::install(settings.parse("AUTH_LOG")?);
    warn_of_unknown_variables(SETTINGS, "AUTH_");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::start)?;
    runtime.block_on(async {
        let stop = shutdown::stop_on_signals().map_err(Failure::start)?;
        let hangups = Hangups::listen().map_err(Failure::start)?;
        let app = App::bind(config, Env::default()).await?;
        tokio::select! {
            () = app.run(stop) => {}
            () = hangups.answer(|| Ok(SIGHUP.to_owned())) => {}
        }
        Ok(())
    })
}
