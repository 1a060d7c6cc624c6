//! The program: everything is in the library, so that tests and the quickstart run the same.

use std::{env, process::ExitCode};

/// Gives memory back when a burst is over; the system's own keeps what is freed between two pieces in use.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    auth_service::cli::run(env::args_os())
}
