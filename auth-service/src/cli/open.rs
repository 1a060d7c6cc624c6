//! Opens the operations for a command. The command may run beside a running service, on the same database.

use std::error::Error;

use countermark_service::{env::Env, exit::Failure, settings::Settings};

use crate::{
    app::{self, Purpose},
    config::Config,
    domain::account::Account,
    ops::AuthService,
};

/// Opens the operations and runs `command` with them. A command makes neither a database nor a key.
///
/// # Errors
/// [`Failure`] when a setting is invalid, the database can't be opened, or the command fails.
pub fn with<F>(
    settings: &Settings,
    command: impl FnOnce(std::sync::Arc<AuthService>) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    open(Config::parse(settings)?, Purpose::Command, command)
}

/// As [`with`], also when the database is behind its mark. It has to be there.
pub fn to_recover<T, F>(
    config: Config,
    command: impl FnOnce(std::sync::Arc<AuthService>) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    open(config, Purpose::Recovery, command)
}

fn open<T, F>(
    mut config: Config,
    purpose: Purpose,
    command: impl FnOnce(std::sync::Arc<AuthService>) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    // A command does one thing after another.
    config.database = config.database.written_in_place();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::start)?;
    runtime.block_on(async {
        let (_, auth) = app::open_for(&config, &Env::default(), purpose).await?;
        command(auth).await
    })
}

/// Converts an error of an operation to a failure of the program. Each error says in its own words what is wrong.
#[must_use]
pub fn failed(error: impl Error) -> Failure {
    Failure::start(error)
}

/// The account with that id or address.
pub fn account(auth: &AuthService, name: &str) -> Result<Account, Failure> {
    let found = auth.account_named(name).map_err(|error| Failure::start(format!("{name:?}: {error}")))?;
    found.ok_or_else(|| Failure::start(format!("{name:?}: there is no such account")))
}
