//! The program: command line, log, [`App`], run.

use std::{env, process::ExitCode};

use countermark_service::{env::Env, exit, exit::Failure, ops, shutdown, telemetry};
use resource_service::{
    app::App,
    cli::{self, Command},
    config::Config,
};

/// Gives memory back when a burst is over; the system's own keeps what is freed between two pieces in use.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    exit::report(run())
}

fn run() -> Result<(), Failure> {
    let env = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    match cli::parse(env::args_os(), env)? {
        Command::Healthcheck(address) => ops::healthcheck(address).map_err(Failure::Start),
        Command::Serve(start) => {
            // Nothing else in this process can have taken the log.
            let _ = telemetry::install(start.log);
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.map_err(Failure::start)?.block_on(serve(start.config))
        }
    }
}

async fn serve(config: Config) -> Result<(), Failure> {
    let app = App::bind(config, Env::default())?;
    app.run(shutdown::stop_on_signals().map_err(Failure::start)?).await;
    Ok(())
}
