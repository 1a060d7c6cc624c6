//! The hall, for commands that may run beside a running service on the same database.

use countermark_service::{env::Env, exit::Failure, settings::Settings};

use crate::{
    app,
    config::Config,
    ops::{AuthService, Error},
};

/// Opens the hall and runs `command` in it.
///
/// # Errors
/// [`Failure`] when it can't be opened, and what the command fails with.
pub fn with<F>(
    settings: &Settings,
    command: impl FnOnce(std::sync::Arc<AuthService>) -> F,
) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let config = Config::parse(settings)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::start)?;
    runtime.block_on(async {
        let (_, auth) = app::open(&config, &Env::default()).await?;
        command(auth).await
    })
}

/// An error of the hall, as the command line tells it.
#[must_use]
pub fn failed(error: Error) -> Failure {
    Failure::start(error)
}
