//! The command line. Without a subcommand the program serves. `healthcheck` asks a running service whether it is
//! ready.

use std::{ffi::OsString, net::SocketAddr, sync::LazyLock};

use countermark_service::{
    exit::Failure,
    settings::{Settings, usual_files, with_settings},
    telemetry::Filter,
    version::version,
};

use crate::{
    config::{self, Config, SETTINGS},
    documents::store::SCHEMA,
};

/// The command that the program executes.
#[derive(Debug)]
pub enum Command {
    /// Serve until a stop signal.
    Serve(Box<Start>),
    /// Ask the operations port at this address whether the service is ready.
    Healthcheck(SocketAddr),
}

/// The inputs of serving.
#[derive(Debug)]
pub struct Start {
    /// The settings.
    pub config: Config,
    /// The log filter.
    pub log: Filter,
}

static VERSION: LazyLock<String> = LazyLock::new(|| version(env!("CARGO_PKG_VERSION"), &SCHEMA));

/// Parses the command line, and reads the settings from it, from the environment and from the configuration file.
///
/// # Errors
/// [`Failure`] when the command line is invalid or asks for help, or when a setting is invalid.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, Failure> {
    let matches = command().try_get_matches_from(args)?;
    let settings = Settings::collect(SETTINGS, &matches, &usual_files("resource-service"), env)?;
    if matches.subcommand_name() == Some(HEALTHCHECK) {
        return Ok(Command::Healthcheck(settings.address("RESOURCE_OPS_ADDR")?));
    }
    let start = Start { config: Config::parse(&settings)?, log: config::log(&settings)? };
    Ok(Command::Serve(Box::new(start)))
}

const HEALTHCHECK: &str = "healthcheck";

fn command() -> clap::Command {
    let program = clap::Command::new("resource-service")
        .version(VERSION.as_str())
        .about("Countermark's example service: routes protected by access tokens, and documents")
        .after_help("Without a subcommand the service runs until SIGTERM or Ctrl-C.")
        .subcommand(
            clap::Command::new(HEALTHCHECK)
                .about("Exit 0 when the running service is ready, 1 when it is not"),
        );
    with_settings(program, SETTINGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Command, Failure> {
        let args = ["resource-service"].iter().chain(words).map(OsString::from);
        parse(args, |_| None)
    }

    #[test]
    fn without_a_subcommand_it_serves() {
        assert!(matches!(parse_words(&[]), Ok(Command::Serve(_))));
    }

    #[test]
    fn healthcheck_asks_where_the_service_listens() {
        let command = parse_words(&["healthcheck", "--resource-ops-addr", "127.0.0.1:7"]).unwrap();
        assert!(matches!(command, Command::Healthcheck(address) if address.port() == 7));
    }

    #[test]
    fn help_is_no_failure_and_a_bad_flag_or_setting_is_64() {
        assert_eq!(parse_words(&["--help"]).unwrap_err().code(), 0);
        assert_eq!(parse_words(&["--resource-nope", "x"]).unwrap_err().code(), 64);
        assert_eq!(parse_words(&["--resource-leeway", "x"]).unwrap_err().code(), 64);
    }
}
