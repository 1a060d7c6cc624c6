//! Executes the tour: sends each request, prints it and its answer, and stops at the first unexpected answer.

use std::{
    collections::HashMap,
    io::{self, Write as _},
};

use countermark_proto::auth_v1::{
    IntrospectRequest, IntrospectResponse, introspection_client::IntrospectionClient,
};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;
use tonic::{Request, transport::Endpoint};

use crate::{
    client::{Answer, Client, said},
    services::{EMAIL, Services},
    tour::{self, Body, STEPS, Step, Variable},
};

/// Number of characters that are printed of a token.
const SHOWN: usize = 24;

/// Executes the tour, and then introspects a token over gRPC.
pub(crate) async fn walk(services: &Services) -> Result<(), String> {
    let client = Client::new()?;
    let mut tokens = HashMap::from([(Variable::Expired, services.expired_token.clone())]);
    for (at, step) in STEPS.iter().enumerate() {
        say(&format!("\n{}. {}\n", at + 1, step.title))?;
        let answer = send(&client, step, services, &tokens).await?;
        say(&answer.shown())?;
        answer.expect(step)?;
        for (member, variable) in step.keep {
            tokens.insert(*variable, answer.member(member)?);
        }
    }
    let token = tokens.get(&Variable::Token).ok_or("no token was kept")?;
    introspect(services, token).await?;
    say(&format!("\nAll {} steps went as they should.\n", STEPS.len() + 1))
}

/// The last step, which curl can't do: introspection over gRPC.
async fn introspect(services: &Services, token: &str) -> Result<(), String> {
    say(&format!("\n{}. Ask over gRPC: is the token active?\n", STEPS.len() + 1))?;
    let address = services.grpc;
    say(&format!("> auth.v1.Introspection/Introspect at {address}, as client resource-service\n"))?;
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(said)?;
    let channel = endpoint.connect().await.map_err(said)?;
    let mut client = IntrospectionClient::new(channel);
    let answer =
        client.introspect(request_for(token, &services.client_secret)?).await.map_err(said)?.into_inner();
    let IntrospectResponse { active, claims } = answer;
    let email = claims.and_then(|claims| claims.email);
    say(&format!("< active: {active}, email: {email:?}\n"))?;
    let broken =
        client.introspect(request_for("broken", &services.client_secret)?).await.map_err(said)?.into_inner();
    say(&format!("< of a broken token: active: {}\n", broken.active))?;
    match (active, email.as_deref(), broken.active) {
        (true, Some(EMAIL), false) => Ok(()),
        _ => Err("introspection did not answer as it should".to_owned()),
    }
}

fn request_for(token: &str, secret: &str) -> Result<Request<IntrospectRequest>, String> {
    let mut request = Request::new(IntrospectRequest { token: token.to_owned() });
    let credentials = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("resource-service:{secret}"),
    );
    request.metadata_mut().insert("authorization", format!("Basic {credentials}").parse().map_err(said)?);
    Ok(request)
}

/// Sends a step, and prints it first.
async fn send(
    client: &Client,
    step: &Step,
    services: &Services,
    tokens: &HashMap<Variable, String>,
) -> Result<Answer, String> {
    let url = tour::url(step, services);
    say(&format!("> {} {url}\n", step.method))?;
    let mut request = client.request(step.method, url)?;
    if let Some(bearer) = step.bearer {
        say(&format!("> Authorization: Bearer ${}\n", bearer.name()))?;
        let token = tokens.get(&bearer).ok_or_else(|| format!("no token {} was kept", bearer.name()))?;
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    match step.body {
        Body::Json(body) => {
            say(&format!("> Content-Type: application/json\n> {body}\n"))?;
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        Body::Text(body) => {
            say(&format!("> {body}\n"))?;
            request = request.body(body);
        }
        Body::Nothing => {}
    }
    Answer::of(request.send().await.map_err(said)?).await
}

impl Answer {
    fn expect(&self, step: &Step) -> Result<(), String> {
        if self.status != step.status {
            return Err(format!("{}: status {} where {} was expected", step.title, self.status, step.status));
        }
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
        let whole = headers.collect::<String>() + &self.body;
        match step.holds.iter().find(|wanted| !whole.contains(**wanted)) {
            Some(wanted) => Err(format!("{}: {wanted} is not in the answer", step.title)),
            None => Ok(()),
        }
    }

    /// The printed form: the status, the relevant headers, and the body with shortened tokens.
    fn shown(&self) -> String {
        let shown = ["www-authenticate", "location", "cache-control", "etag"];
        let headers = self.headers.iter().filter(|(name, _)| shown.contains(&name.as_str()));
        let headers: Vec<_> = headers.map(|(name, value)| format!("< {name}: {value}\n")).collect();
        let body: Value =
            serde_json::from_str(&self.body).unwrap_or_else(|_| Value::String(self.body.clone()));
        format!("< {}\n{}< {}\n", self.status, headers.concat(), shortened(body))
    }
}

fn shortened(value: Value) -> Value {
    match value {
        Value::String(text) if text.len() > 2 * SHOWN && !text.contains(' ') => {
            Value::String(format!("{}…", text.chars().take(SHOWN).collect::<String>()))
        }
        Value::Array(items) => Value::Array(items.into_iter().map(shortened).collect()),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (name, shortened(value))).collect())
        }
        other => other,
    }
}

fn say(text: &str) -> Result<(), String> {
    io::stdout().write_all(text.as_bytes()).map_err(said)
}
