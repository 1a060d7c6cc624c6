//! The end of a program: exit code 0 after a clean stop, 1 after a failure, 64 for a bad configuration; and one line
//! on stderr that says why.

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use super::{inert::inert, settings::SettingError};

/// Exit code of a failed start or subcommand.
pub const FAILED_START: u8 = 1;

/// Exit code of a bad configuration (`EX_USAGE`).
pub const BAD_CONFIGURATION: u8 = 64;

/// The reason why a program ends early.
#[derive(Debug)]
pub enum Failure {
    /// The command line is invalid, or asks for help.
    Arguments(clap::Error),
    /// A setting is invalid.
    Configuration(SettingError),
    /// The start or a subcommand failed. The sentence says why.
    Start(String),
}

impl Failure {
    /// A failure that `cause` describes.
    #[must_use]
    pub fn start(cause: impl fmt::Display) -> Self {
        Self::Start(cause.to_string())
    }

    /// The exit code of the process. A request for help is not a failure: 0.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Arguments(error) if !error.use_stderr() => 0,
            Self::Arguments(_) | Self::Configuration(_) => BAD_CONFIGURATION,
            Self::Start(_) => FAILED_START,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arguments(error) => error.fmt(f),
            Self::Configuration(error) => error.fmt(f),
            Self::Start(cause) => cause.fmt(f),
        }
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        Self::Arguments(error)
    }
}

impl From<SettingError> for Failure {
    fn from(error: SettingError) -> Self {
        Self::Configuration(error)
    }
}

/// Prints a failure to stderr, and returns the exit code for `main`.
#[must_use]
pub fn report(result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else { return ExitCode::SUCCESS };
    // Writing fails if stderr is closed.
    let _ = match &failure {
        Failure::Arguments(error) => error.print(),
        Failure::Configuration(_) | Failure::Start(_) => writeln!(io::stderr(), "{}", one_line(&failure)),
    };
    ExitCode::from(failure.code())
}

fn one_line(failure: &Failure) -> String {
    let text = failure.to_string();
    let spaced = text.replace(['\n', '\r', '\t'], " ");
    inert(&spaced).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_code() {
        let parse =
            |flag| Failure::from(clap::Command::new("x").try_get_matches_from(["x", flag]).unwrap_err());
        assert_eq!(parse("--help").code(), 0);
        assert_eq!(parse("--nope").code(), 64);
        assert_eq!(Failure::from(SettingError::new("AUTH_X", "is bad")).code(), 64);
        assert_eq!(Failure::start("the port is taken").code(), 1);
    }

    #[test]
    fn a_failure_is_one_line() {
        assert_eq!(one_line(&Failure::start("a\nb\u{1b}[c\u{202e}")), "a b\\u{1b}[c\\u{202e}");
    }
}
