//! The hall, for commands that may run beside a running service on the same database.

use shared::service::{exit::Failure, settings::Settings, surroundings::Surroundings};

use crate::{
    app,
    config::Config,
    ops::{Error, Hall},
};

/// Opens the hall and runs `command` in it.
///
/// # Errors
/// [`Failure`] when it can't be opened, and what the command fails with.
pub fn with<F>(settings: &Settings, command: impl FnOnce(std::sync::Arc<Hall>) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let config = Config::parse(settings)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::start)?;
    runtime.block_on(async {
        let (_, hall) = app::open(&config, &Surroundings::default()).await?;
        command(hall).await
    })
}

/// An error of the hall, as the command line tells it.
#[must_use]
pub fn failed(error: Error) -> Failure {
    Failure::start(error)
}
