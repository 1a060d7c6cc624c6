//! A page for trying the calls of the document. It loads nothing from other sites.

use axum::{
    handler::Handler,
    http::header,
    response::{Html, IntoResponse},
};
use serde_json::json;

use super::{Operation, Reply};

/// The page runs its own script and calls its own origin, nothing else: a token that is pasted into it stays there.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn html<S: Clone + Send + Sync + 'static>(title: &str) -> impl Handler<((),), S> {
    let page = include_str!("page.html").replace("{title}", title);
    async move || ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(page.clone())).into_response()
}

pub(super) fn script<S: Clone + Send + Sync + 'static>() -> impl Handler<((),), S> {
    async || {
        ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("page.js")).into_response()
    }
}

pub(super) fn describe_html() -> Operation {
    let page = Reply::content(200, "The page", "text/html", json!({"type": "string"}))
        .with_header("Content-Security-Policy", "Allows the page's own script and origin, and nothing else");
    Operation::new("docs", "Documentation", "A page for trying the calls. It works offline.").reply(page)
}

pub(super) fn describe_script() -> Operation {
    let script = Reply::content(200, "The script", "text/javascript", json!({"type": "string"}));
    Operation::new("docs_script", "Documentation", "The script of the page.").reply(script)
}
