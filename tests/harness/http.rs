//! An HTTP client that checks answers against the contract.

use std::{fmt, future::IntoFuture, net::SocketAddr, pin::Pin};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use reqwest::{
    Client, Method, RequestBuilder,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;

/// One HTTP port of a service. The client follows no redirects and stores no cookies.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    pub address: SocketAddr,
}

impl Http {
    pub fn at(address: SocketAddr) -> Self {
        // Plain HTTP needs no certificates, and reading the system's certificates takes longer than most tests.
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([])
            .build()
            .unwrap();
        Self { client, address }
    }

    pub fn ask(&self, method: Method, path: &str) -> Ask {
        Ask(self.client.request(method, format!("http://{}{path}", self.address)))
    }

    pub fn get(&self, path: &str) -> Ask {
        self.ask(Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Ask {
        self.ask(Method::POST, path)
    }

    pub fn put(&self, path: &str) -> Ask {
        self.ask(Method::PUT, path)
    }

    pub fn delete(&self, path: &str) -> Ask {
        self.ask(Method::DELETE, path)
    }
}

/// A request. Awaiting it sends it.
#[derive(Debug)]
#[must_use = "awaiting it sends it"]
pub struct Ask(RequestBuilder);

impl Ask {
    /// Sends a token as Bearer.
    pub fn bearer(self, token: impl AsRef<[u8]>) -> Self {
        let value = [b"Bearer ", token.as_ref()].concat();
        self.header(AUTHORIZATION, value)
    }

    /// Adds a header. Two headers with one name are both sent.
    pub fn header(self, name: impl Into<Name>, value: impl AsRef<[u8]>) -> Self {
        let value = HeaderValue::from_bytes(value.as_ref()).expect("bytes that a header can carry");
        Self(self.0.header(name.into().0, value))
    }

    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sends a form (RFC 6749 appendix B).
    pub fn form(self, parameters: &[(&str, &str)]) -> Self {
        let mut body = form_urlencoded::Serializer::new(String::new());
        self.body("application/x-www-form-urlencoded", body.extend_pairs(parameters).finish())
    }

    /// Authenticates with a client's id and secret (RFC 6749 §2.3.1).
    pub fn basic(self, (id, secret): (&str, &str)) -> Self {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
        self.header(AUTHORIZATION, format!("Basic {pair}"))
    }

    pub fn body(self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.header(CONTENT_TYPE, content_type).body(body))
    }
}

/// Name of a header.
#[derive(Debug)]
pub struct Name(HeaderName);

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self(name.parse().expect("a header name"))
    }
}

impl From<HeaderName> for Name {
    fn from(name: HeaderName) -> Self {
        Self(name)
    }
}

impl IntoFuture for Ask {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let response = self.0.send().await.expect("an answer");
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Answer { status, headers, body: response.bytes().await.expect("a whole body") }
        })
    }
}

/// An answer.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// Value of a header. Two headers with one name fail the test.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap());
        assert!(values.next().is_none(), "two headers {name}: {self:?}");
        value
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Expects a success. Returns its body.
    #[track_caller]
    pub fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }

    /// Expects the error body of the contract, byte for byte, and no challenge.
    #[track_caller]
    pub fn refuses(&self, status: u16, error: &str, msg: &str) {
        self.is_error(status, error, msg);
        assert_eq!(self.header("www-authenticate"), None, "{self:?}");
    }

    /// Expects the error body of the contract, and a challenge that repeats the error and has `more` parameters (RFC
    /// 6750 §3).
    #[track_caller]
    pub fn challenges(&self, realm: &str, status: u16, error: &str, msg: &str, more: &[(&str, &str)]) {
        self.is_error(status, error, msg);
        let mut expected = vec![("error", error), ("error_description", msg), ("realm", realm)];
        expected.extend(more);
        expected.sort_unstable();
        assert_eq!(self.challenge(), expected, "{self:?}");
    }

    /// Expects 401 `missing_token`, with a challenge that has a realm and no error.
    #[track_caller]
    pub fn misses_a_token(&self, realm: &str) {
        self.is_error(401, "missing_token", "An access token is required");
        assert_eq!(self.challenge(), [("realm", realm)], "{self:?}");
    }

    /// Expects 400 `invalid_request` with a message that contains `what`.
    #[track_caller]
    pub fn is_invalid_request(&self, what: &str) {
        assert_eq!(self.status, 400, "{self:?}");
        let body = self.json();
        assert_eq!(body["error"], "invalid_request", "{self:?}");
        assert!(body["msg"].as_str().unwrap().contains(what), "no {what:?} in {self:?}");
        assert_eq!(body.as_object().unwrap().len(), 2, "{self:?}");
        assert_eq!(self.header("www-authenticate"), None, "{self:?}");
    }

    /// Expects the error body of RFC 6749 §5.2, and a header that forbids caching.
    #[track_caller]
    pub fn refuses_as_oauth(&self, status: u16, error: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let body = self.json();
        let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["error", "error_description"], "{self:?}");
        assert_eq!(body["error"], error, "{self:?}");
        assert!(!body["error_description"].as_str().unwrap().is_empty(), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        let is_challenged =
            self.header("www-authenticate").is_some_and(|value| value.starts_with("Basic realm="));
        assert_eq!(is_challenged, status == 401, "{self:?}");
    }

    /// Expects 503 `temporarily_unavailable` with `Retry-After` in seconds.
    #[track_caller]
    pub fn is_unavailable(&self) {
        assert_eq!(self.status, 503, "{self:?}");
        assert_eq!(self.json()["error"], "temporarily_unavailable", "{self:?}");
        let seconds: u32 = self.header("retry-after").expect("Retry-After").parse().unwrap();
        assert!(seconds >= 1, "{self:?}");
        assert_eq!(self.header("www-authenticate"), None, "{self:?}");
    }

    #[track_caller]
    fn is_error(&self, status: u16, error: &str, msg: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.text(), serde_json::json!({"error": error, "msg": msg}).to_string(), "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
    }

    /// The parameters of the only challenge, sorted. Its scheme must be Bearer.
    #[track_caller]
    fn challenge(&self) -> Vec<(&str, &str)> {
        let challenge = self.header("www-authenticate").expect("WWW-Authenticate");
        let parameters = challenge.strip_prefix("Bearer ").expect("a Bearer challenge");
        let mut parameters: Vec<_> = parameters
            .split("\", ")
            .map(|parameter| {
                let (name, value) = parameter.split_once("=\"").expect("a quoted parameter");
                (name, value.trim_end_matches('"'))
            })
            .collect();
        parameters.sort_unstable();
        parameters
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body: String = String::from_utf8_lossy(&self.body).chars().take(1_000).collect();
        write!(f, "{} {:?} {body}", self.status, self.headers)
    }
}
