//! The command line: without a subcommand the program serves; `healthcheck` asks a running one whether it is ready.

use std::{ffi::OsString, net::SocketAddr};

use countermark_service::{
    exit::Failure,
    settings::{Settings, arguments},
    telemetry::Filter,
};

use crate::config::{self, Config, SETTINGS};

/// What the program is asked to do.
#[derive(Debug)]
pub enum Command {
    /// Serve until told to stop.
    Serve(Box<Start>),
    /// Ask the operations port at this address whether the service is ready.
    Healthcheck(SocketAddr),
}

/// What serving starts from.
#[derive(Debug)]
pub struct Start {
    /// The settings.
    pub config: Config,
    /// What is logged.
    pub log: Filter,
}

/// Reads the command line, and the settings from it, from the environment, and from the file that they name.
///
/// # Errors
/// [`Failure`] when it can't be parsed or asks for help, and when a setting can't be used.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Command, Failure> {
    let matches = command().try_get_matches_from(args)?;
    let settings = Settings::collect(SETTINGS, &matches, env)?;
    if matches.subcommand_name() == Some(HEALTHCHECK) {
        return Ok(Command::Healthcheck(settings.parse("RESOURCE_OPS_ADDR")?));
    }
    let start = Start { config: Config::parse(&settings)?, log: config::log(&settings)? };
    Ok(Command::Serve(Box::new(start)))
}

const HEALTHCHECK: &str = "healthcheck";

fn command() -> clap::Command {
    clap::Command::new("resource-service")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Routes that an access token opens, and the documents behind them")
        .after_help("Without a subcommand it serves.")
        .args(arguments(SETTINGS))
        .subcommand(
            clap::Command::new(HEALTHCHECK)
                .about("Asks a running service whether it is ready: exit code 0 if it is, else 1"),
        )
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
