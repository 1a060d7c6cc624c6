//! The HTTP client of the tour: logs in, logs out, and reads answers.

use std::net::SocketAddr;

use reqwest::{
    Method, RequestBuilder,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde_json::{Value, json};

/// An HTTP client for the requests of the tour.
pub(crate) struct Client(reqwest::Client);

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn new() -> Result<Self, String> {
        reqwest::Client::builder().no_proxy().build().map(Self).map_err(said)
    }

    /// Logs in, and returns the access token.
    pub(crate) async fn login(
        &self,
        auth: SocketAddr,
        email: &str,
        password: &str,
    ) -> Result<String, String> {
        let body = json!({"email": email, "password": password}).to_string();
        let request =
            self.0.post(format!("http://{auth}/login")).header(CONTENT_TYPE, "application/json").body(body);
        Answer::of(request.send().await.map_err(said)?).await?.member("access_token")
    }

    /// Ends the session of the access token.
    pub(crate) async fn logout(&self, auth: SocketAddr, token: &str) -> Result<(), String> {
        let request =
            self.0.post(format!("http://{auth}/logout")).header(AUTHORIZATION, format!("Bearer {token}"));
        request.send().await.and_then(reqwest::Response::error_for_status).map(drop).map_err(said)
    }

    /// A request without a body, to be completed by the caller.
    pub(crate) fn request(&self, method: &str, url: String) -> Result<RequestBuilder, String> {
        Ok(self.0.request(Method::from_bytes(method.as_bytes()).map_err(said)?, url))
    }
}

impl Answer {
    /// Reads the whole answer.
    pub(crate) async fn of(response: reqwest::Response) -> Result<Self, String> {
        let status = response.status().as_u16();
        let header = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let headers = response.headers().iter().map(header).collect();
        Ok(Self { status, headers, body: response.text().await.map_err(said)? })
    }

    /// The text of that member of a JSON object.
    pub(crate) fn member(&self, name: &str) -> Result<String, String> {
        let body: Value = serde_json::from_str(&self.body).map_err(|_| format!("not JSON: {}", self.body))?;
        let member = body.get(name).and_then(Value::as_str);
        member.map(str::to_owned).ok_or_else(|| format!("no {name} in {}", self.body))
    }
}

/// An error as text.
pub(crate) fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
