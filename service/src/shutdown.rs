//! The stop: SIGTERM and SIGINT cancel one token that all tasks watch. SIGHUP, which other programs take for "read your files
//! again" or for the end of their terminal, never stops a service.

use std::{io, process};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::FAILED_START;

/// Returns a token that SIGTERM or SIGINT cancels. A second signal ends the process at once. SIGHUP ends nothing: see
/// [`Hangups`]. Must be called inside a tokio runtime.
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

/// SIGHUP, which asks to read files again.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Listens from now on. Until then SIGHUP ends the process. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`io::Error`] when the system refuses the signal handler.
    pub fn listen() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Calls `read` for each signal, until the future is dropped. What it says is logged, in one line.
    pub async fn answer(mut self, read: impl Fn() -> Result<String, String>) {
        while self.0.recv().await.is_some() {
            match read() {
                Ok(outcome) => tracing::info!("SIGHUP: {outcome}"),
                Err(problem) => tracing::error!("SIGHUP: {problem}"),
            }
        }
        std::future::pending::<()>().await;
    }
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
    async fn sigterm_cancels_the_token_and_sighup_does_not() {
        let stop = stop_on_signals().unwrap();
        let hangups = Hangups::listen().unwrap();
        for _ in 0..3 {
            Command::new("kill").args(["-HUP", &process::id().to_string()]).status().unwrap();
            tokio::task::yield_now().await;
        }
        assert!(!stop.is_cancelled(), "SIGHUP stops nothing");
        drop(hangups);
        Command::new("kill").args(["-TERM", &process::id().to_string()]).status().unwrap();
        stop.cancelled().await;
    }
}
