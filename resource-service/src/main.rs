//! The program: parses the command line, starts the log, and runs [`App`].

use std::{env, process::ExitCode};

use countermark_service::{
    env::Env,
    exit,
    exit::Failure,
    ops,
    settings::warn_of_unknown_variables,
    shutdown::{self, Hangups},
    telemetry,
};
use resource_service::{
    app::App,
    cli::{self, Command},
    config::{Config, SETTINGS},
};

/// Returns memory to the system after a burst of load. glibc's allocator keeps free memory that lies between used
/// blocks.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    exit::report(run())
}

fn run() -> Result<(), Failure> {
    match cli::parse(env::args_os(), |name| env::var_os(name))? {
        Command::Healthcheck(address) => ops::healthcheck(address).map_err(Failure::Start),
        Command::Serve(start) => {
            // This can't fail: no other code in this process installs a logger.
            let _ = telemetry::install(start.log);
            warn_of_unknown_variables(SETTINGS, "RESOURCE_");
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.map_err(Failure::start)?.block_on(serve(start.config))
        }
    }
}

async fn serve(config: Config) -> Result<(), Failure> {
    let stop = shutdown::stop_on_signals().map_err(Failure::start)?;
    let hangups = Hangups::listen().map_err(Failure::start)?;
    let app = App::bind(config, Env::default())?;
    // A task of its own: a slow disk holds up no request.
    tokio::spawn(hangups.answer(app.reread()));
    // On the heap: the future holds both ports and the verifier.
    Box::pin(app.run(stop)).await;
    Ok(())
}
