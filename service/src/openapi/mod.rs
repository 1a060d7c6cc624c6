//! Routes and their OpenAPI document, made from one list: a route enters the router only together with its description.
//!
//! - [`operation`]: describes one route
//! - [`reply`]: describes one of its answers
//! - `page`: the page for trying the calls

pub mod operation;
mod page;
pub mod reply;

use std::collections::BTreeMap;

use axum::{
    Router,
    body::Bytes,
    handler::Handler,
    http::header,
    routing::{self, MethodRouter},
};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

pub use operation::Operation;
pub use reply::Reply;

/// The path of the document.
const DOCUMENT: &str = "/openapi.json";

/// Named schemas, as they stand below `components`.
pub(crate) type Schemas = BTreeMap<String, Value>;

/// Routes with their descriptions.
#[derive(Debug)]
#[must_use = "it serves nothing until it is a Router"]
pub struct Api<S> {
    router: Router<S>,
    title: &'static str,
    description: &'static str,
    security: Value,
    /// The path below which a browser finds the routes. Empty for the root.
    base: String,
    paths: BTreeMap<&'static str, Map<String, Value>>,
    schemas: Schemas,
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// No routes yet. `security` names the security schemes of the document.
    pub fn new(title: &'static str, description: &'static str, security: Value) -> Self {
        let (paths, schemas) = (BTreeMap::new(), Schemas::new());
        Self { router: Router::new(), title, description, security, base: String::new(), paths, schemas }
    }

    /// Says in the document that clients find the routes below the path `base`. It begins with a slash, or is empty.
    pub fn below(self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self }
    }

    /// A route for GET.
    pub fn get<H: Handler<T, S>, T: 'static>(self, path: &'static str, handler: H, is: Operation) -> Self {
        self.route(path, "get", routing::get(handler), is)
    }

    /// A route for POST.
    pub fn post<H: Handler<T, S>, T: 'static>(self, path: &'static str, handler: H, is: Operation) -> Self {
        self.route(path, "post", routing::post(handler), is)
    }

    /// A route for PUT.
    pub fn put<H: Handler<T, S>, T: 'static>(self, path: &'static str, handler: H, is: Operation) -> Self {
        self.route(path, "put", routing::put(handler), is)
    }

    /// A route for DELETE.
    pub fn delete<H: Handler<T, S>, T: 'static>(self, path: &'static str, handler: H, is: Operation) -> Self {
        self.route(path, "delete", routing::delete(handler), is)
    }

    fn route(
        mut self,
        path: &'static str,
        method: &str,
        handler: MethodRouter<S>,
        operation: Operation,
    ) -> Self {
        let (description, schemas) = operation.into_parts();
        self.paths.entry(path).or_default().insert(method.to_owned(), description);
        self.schemas.extend(schemas);
        Self { router: self.router.route(path, handler), ..self }
    }

    /// The router. It serves the document at `/openapi.json` too, and a page for trying the calls at `/docs`.
    pub fn into_router(self) -> Router<S> {
        let (page, script) = (page::html(self.title), page::script());
        let mut api = self.get("/docs", page, page::describe_html()).get(
            "/docs/page.js",
            script,
            page::describe_script(),
        );
        let own = Operation::new("openapi", "Documentation", "This document.").reply(Reply::content(
            200,
            "The OpenAPI document",
            "application/json",
            json!({"type": "object", "required": ["openapi", "info", "paths"]}),
        ));
        let (own, _) = own.into_parts();
        api.paths.entry(DOCUMENT).or_default().insert("get".to_owned(), own);
        let document = Bytes::from(api.document().to_string());
        let answer = async move || ([(header::CONTENT_TYPE, "application/json")], document.clone());
        api.router.route(DOCUMENT, routing::get(answer))
    }

    fn document(&self) -> Value {
        let mut document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": self.title,
                "description": self.description,
                "version": env!("CARGO_PKG_VERSION"),
            },
            "paths": self.paths,
            "components": {"schemas": self.schemas, "securitySchemes": self.security},
        });
        if !self.base.is_empty() {
            document["servers"] = json!([{"url": self.base}]);
        }
        document
    }
}

/// A reference to the schema of `T`, which is added to `schemas` with all that it refers to.
pub(crate) fn schema_of<T: ToSchema>(schemas: &mut Schemas) -> Value {
    let mut named = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut named);
    let written = named.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema)));
    schemas.extend(written.filter_map(|(name, schema)| schema.ok().map(|schema| (name, schema))));
    json!({"$ref": format!("#/components/schemas/{}", T::name())})
}
