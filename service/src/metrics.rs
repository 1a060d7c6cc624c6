//! Metrics of HTTP requests: count, status and duration. The number of label values is bounded: the route label is
//! the matched pattern, never the path.

use std::{
    fmt,
    hash::{Hash, Hasher},
    time::Duration,
};

use axum::{
    extract::MatchedPath,
    http::{Method, StatusCode},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

/// Counts requests by route, method and class of status, and measures durations by route and method.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<DurationLabels, Histogram, fn() -> Histogram>,
}

impl HttpMetrics {
    /// New metrics, `http_requests_total` and `http_request_duration_seconds`, in `registry`, after its prefix.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self { requests: Family::default(), durations: Family::new_with_constructor(seconds) };
        registry.register("http_requests", "HTTP requests answered", metrics.requests.clone());
        let help = "Time from a request's head to its answer's head, in seconds";
        registry.register("http_request_duration_seconds", help, metrics.durations.clone());
        metrics
    }

    pub(super) fn count(&self, route: &Route, method: &'static str, status: StatusCode, took: Duration) {
        let labels = RequestLabels { route: route.clone(), method, status: class(status) };
        self.requests.get_or_create(&labels).inc();
        let labels = DurationLabels { route: labels.route, method };
        self.durations.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

/// The pattern that the request's path matched, if any.
#[derive(Clone, Debug)]
pub(super) struct Route(pub(super) Option<MatchedPath>);

impl Route {
    pub(super) fn as_str(&self) -> &str {
        self.0.as_ref().map_or("none", MatchedPath::as_str)
    }
}

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Route {}

impl Hash for Route {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl EncodeLabelValue for Route {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.as_str().encode(encoder)
    }
}

/// The method as a label. All undefined methods share one label, because clients can invent any number of them.
pub(super) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: Route,
    method: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    route: Route,
    method: &'static str,
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        ..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500.. => "5xx",
    }
}

fn seconds() -> Histogram {
    Histogram::new([0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_method_and_class() {
        let mut registry = Registry::default();
        let metrics = HttpMetrics::register(&mut registry);
        let unknown = method(&Method::from_bytes(b"BREW").unwrap());
        metrics.count(&Route(None), unknown, StatusCode::NOT_FOUND, Duration::from_millis(2));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(
            text.contains(r#"http_requests_total{route="none",method="other",status="4xx"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"http_request_duration_seconds_count{route="none",method="other"} 1"#),
            "{text}"
        );
    }
}
