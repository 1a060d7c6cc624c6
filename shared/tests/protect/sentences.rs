//! Errors of a configuration, as the `main` of a service prints them.

use std::error::Error;

use countermark::{http::Guard, verify::Scope};

/// What `fn main() -> Result<(), Box<dyn Error>>` prints after `Error: `.
fn printed(error: impl Into<Box<dyn Error>>) -> String {
    format!("{:?}", error.into())
}

#[tokio::test]
async fn main_prints_a_bad_configuration_as_a_sentence() {
    let url = printed(Guard::for_issuer("nonsense", "test").unwrap_err());
    assert!(
        url.ends_with(r#""nonsense" is not an http or https URL; write it like http://localhost:8080"#),
        "{url}"
    );
    let scope = printed("read\"".parse::<Scope>().unwrap_err());
    assert_eq!(scope, r#""read\"" is not a scope: printable ASCII without blanks, quotes and backslashes"#);
}
