//! Opens the operations for a command. The command may run beside a running service, on the same database.

use countermark_service::{env::Env, exit::Failure, settings::Settings};

use crate::{
    app,
    config::Config,
    ops::{AuthService, Error},
};

/// Opens the operations and runs `command` with them.
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
    let mut config = Config::parse(settings)?;
    // A command does one thing after another.
    config.database = config.database.written_in_place();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::start)?;
    runtime.block_on(async {
        let (_, auth) = app::open(&config, &Env::default()).await?;
        command(auth).await
    })
}

/// Converts an error of the operations to a failure of the program.
#[must_use]
pub fn failed(error: Error) -> Failure {
    Failure::start(error)
}
