//! `cargo quickstart`: runs both services in one process on an embedded database, with a demo account, and prints a
//! tour of curl commands to paste. `cargo quickstart -- --check` executes the same tour.

mod client;
mod services;
mod tour;
mod walk;

use std::{
    env,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use clap::{Arg, ArgAction, ArgMatches, Command};
use countermark_service::{
    exit::{self, Failure},
    shutdown::{self, Hangups},
    telemetry,
};

use services::{Ports, Services};

fn main() -> ExitCode {
    let matches = command().try_get_matches().map_err(Failure::from);
    exit::report(matches.and_then(|matches| {
        let runtime = tokio::runtime::Runtime::new().map_err(Failure::start)?;
        runtime.block_on(run(&matches))
    }))
}

fn command() -> Command {
    Command::new("quickstart")
        .about("Run both services of Countermark in one process, with a demo account, and print a tour")
        .after_help(
            "The AUTH_… and RESOURCE_… variables work as for the services themselves.\n\
             The data is in data/quickstart; delete that folder to start again.",
        )
        .arg(
            Arg::new("check").long("check").action(ArgAction::SetTrue).help(
                "Execute the tour: print each request and answer, exit 1 at the first unexpected answer",
            ),
        )
}

async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let filter = env::var("AUTH_LOG").unwrap_or_else(|_| "warn".to_owned());
    let filter = filter.parse().map_err(|error| Failure::start(format!("AUTH_LOG: {filter:?} {error}")))?;
    let _ = telemetry::install(filter);
    if matches.get_flag("check") { check().await } else { serve().await }
}

/// Executes the tour on free ports and temporary data, so that it affects nothing else.
async fn check() -> Result<(), Failure> {
    let folder = tempfile::tempdir().map_err(Failure::start)?;
    let services = Services::start(folder.path(), Ports::Any).await?;
    let walked = walk::walk(&services).await;
    services.stop().await;
    walked.map_err(Failure::Start)
}

async fn serve() -> Result<(), Failure> {
    let stop = shutdown::stop_on_signals().map_err(Failure::start)?;
    // It goes on when its terminal is closed, as the services do.
    let _hangups = Hangups::listen().map_err(Failure::start)?;
    let services = Services::start(Path::new("data/quickstart"), Ports::Configured).await?;
    let text = tour::text(&services);
    io::stdout().write_all(text.as_bytes()).map_err(Failure::start)?;
    stop.cancelled().await;
    services.stop().await;
    Ok(())
}
