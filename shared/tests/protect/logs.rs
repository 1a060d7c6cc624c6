//! The log line of a refused request.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex},
};

use axum::routing::get;
use countermark::testing::TestIssuer;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::set_default,
};

use crate::ask::{self, router};

/// Keeps each event as one text: `name=value` for each field.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, "{field}={value};").unwrap();
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{field}={value:?};").unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("countermark")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The one line that a request with that token logs. The answer is the same for all these tokens.
async fn logged(token: &str) -> String {
    let app = router(TestIssuer::new().guard(), get(ask::whoami));
    let lines = Lines::default();
    let collecting = set_default(lines.clone());
    let answer = ask::get("/").bearer(token).of(&app).await;
    drop(collecting);
    answer.refuses(401, "invalid_token");
    assert_eq!(answer.json()["msg"], "The token is invalid");
    let mut lines = lines.0.lock().unwrap();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = lines.pop().unwrap();
    assert!(!token.split('.').any(|segment| line.contains(segment)), "{line}");
    line
}

#[tokio::test]
async fn a_token_of_another_issuer_or_audience_logs_the_trusted_and_the_claimed_names() {
    let issuer = TestIssuer::new();
    let line = logged(&issuer.token("alice").claim("aud", "reports").sign()).await;
    assert!(line.contains("reason=the token is refused: for another audience;"), "{line}");
    assert!(line.contains("expected=test;claimed_by_token=\"reports\";"), "{line}");
    let line = logged(&issuer.token("alice").claim("iss", "http://other.test").sign()).await;
    assert!(line.contains("reason=the token is refused: by another issuer;"), "{line}");
    assert!(line.contains("expected=http://issuer.test;claimed_by_token=\"http://other.test\";"), "{line}");
}

#[tokio::test]
async fn a_claimed_name_can_forge_no_line_and_is_cut() {
    let hostile = format!("x\n2027-01-15 INFO logged in\u{1b}[2J{}", "y".repeat(2_000));
    let line = logged(&TestIssuer::new().token("alice").claim("iss", hostile).sign()).await;
    assert!(line.contains(r#"claimed_by_token="x\n2027-01-15 INFO logged in\u{1b}[2Jyyy"#), "{line}");
    assert!(!line.contains('\n') && line.len() < 400, "{line}");
}

#[tokio::test]
async fn other_refusals_log_no_names() {
    let line = logged(&TestIssuer::new().token("alice").forged()).await;
    assert!(line.contains("reason=the token is refused: the signature does not verify;"), "{line}");
    assert!(!line.contains("expected"), "{line}");
}
