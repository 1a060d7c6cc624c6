//! Deadlines: no call outlives what its caller allowed (`grpc-timeout`), nor what we allow.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{extract::Request, http::HeaderMap, response::Response};
use tonic::Status;
use tower::{Layer, Service};

/// What we allow a call that says nothing.
const LONGEST: Duration = Duration::from_secs(30);

/// A layer that ends calls at their deadline with `DEADLINE_EXCEEDED`.
#[derive(Clone, Copy, Debug)]
pub struct Deadline;

impl<S> Layer<S> for Deadline {
    type Service = Ending<S>;

    fn layer(&self, inner: S) -> Ending<S> {
        Ending { inner }
    }
}

/// A service whose calls end at their deadline.
#[derive(Clone, Debug)]
pub struct Ending<S> {
    inner: S,
}

impl<S> Service<Request> for Ending<S>
where
    S: Service<Request, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let allowed = asked(request.headers()).map_or(LONGEST, |asked| asked.min(LONGEST));
        // The timer is armed only for a call that has to be waited for.
        let answer = tokio::time::timeout(allowed, self.inner.call(request));
        Box::pin(async {
            let late = |_| Ok(Status::deadline_exceeded("the call took longer than it may").into_http());
            answer.await.unwrap_or_else(late)
        })
    }
}

/// `grpc-timeout`: at most eight digits and a unit.
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) {
        return None;
    }
    let count = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_in_each_of_its_units() {
        let read = |text: &str| {
            asked(&HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), text.parse().unwrap())]))
        };
        assert_eq!(read("2H"), Some(Duration::from_hours(2)));
        assert_eq!(read("100m"), Some(Duration::from_millis(100)));
        assert_eq!(read("99999999S"), Some(Duration::from_secs(99_999_999)));
        for text in ["", "S", "1", "123456789S", "-1S", "1x"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
