//! The program: everything is in the library, so that tests and the quickstart run the same.

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    auth_service::cli::run(env::args_os())
}
