//! The stop: SIGTERM and SIGINT cancel one token that all tasks watch.

use std::{io, process};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::FAILED_START;

/// Returns a token that SIGTERM or SIGINT cancels. A second signal ends the process at once. Must be called inside a
/// tokio runtime.
///
/// # Errors
/// [`io::Error`] when the system refuses the signal handlers.
pub fn stop_on_signals() -> io::Result<CancellationToken> {
    let terminate = signal(SignalKind::terminate())?;
    let interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    tokio::spawn(watch(terminate, interrupt, stop.clone()));
    Ok(stop)
}

async fn watch(mut terminate: Signal, mut interrupt: Signal, stop: CancellationToken) {
    next(&mut terminate, &mut interrupt).await;
    tracing::info!("stopping: requests in flight finish first");
    stop.cancel();
    next(&mut terminate, &mut interrupt).await;
    tracing::warn!("stopped at once: a second signal came");
    process::exit(FAILED_START.into());
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn sigterm_cancels_the_token() {
        let stop = stop_on_signals().unwrap();
        assert!(!stop.is_cancelled());
        Command::new("kill").args(["-TERM", &process::id().to_string()]).status().unwrap();
        stop.cancelled().await;
    }
}
