//! Request bodies of the OAuth endpoints. The input is a body of type `application/x-www-form-urlencoded`.

use auth_service::http::oauth::form::Form;
use axum::{
    body::Body,
    extract::{FromRequest as _, Request},
    http::header::CONTENT_TYPE,
};
use futures_util::FutureExt as _;

/// Reads a form. The form must contain only parameters that were sent, and no duplicate of a parameter that may occur
/// once.
pub fn read(input: &[u8]) {
    let request = Request::builder()
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(input.to_vec()))
        .expect("a request");
    let read = Form::from_request(request, &()).now_or_never().expect("the body is at hand");
    let Ok(form) = read else { return };
    for (name, value) in form_urlencoded::parse(input) {
        let all: Vec<_> = form.all(&name).collect();
        assert_eq!(form.one(&name), all.first().copied());
        assert!(value.is_empty() || all.contains(&&*value), "{name} got lost");
        assert!(!all.contains(&""), "{name} was not sent");
        assert!(all.len() <= 1 || matches!(&*name, "resource" | "audience"), "{name} comes twice");
    }
}
