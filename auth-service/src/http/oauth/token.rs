//! `POST /oauth/token`

use axum::{extract::State, response::Response};
use countermark::verify::{Audience, Scope};
use countermark_service::{
    http::Arrival,
    openapi::{Operation, Reply},
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{client::credentials, docs, error::OAuthError, form::Form};
use crate::{
    domain::{client::GrantType, granting::GrantRequest},
    http::{
        HttpState,
        answer::{TokenAnswer, about_token},
        device,
    },
    ops::{oauth::authenticate_client::OAuthClient, tokens::mint::Issued},
};

/// The only type of token that is exchanged (RFC 8693 §3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// Scope words with single spaces between them (RFC 6749 §3.3), or nothing.
const SCOPE: &str = r"^([!#-\[\]-~]+( [!#-\[\]-~]+)*)?$";

/// An answer with an access token only.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuedAnswer {
    /// The access token.
    access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// How long it lives, in seconds.
    #[schema(example = 900)]
    expires_in: u64,
    /// What it may be used for, space-separated.
    scope: String,
    /// Only after a token exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

/// Issues tokens to programs (RFC 6749 §3.2).
///
/// `client_credentials` (§4.4), `refresh_token` (§6), and token exchange (RFC 8693). `scope`, `resource` and `audience`
/// narrow, and never widen.
///
/// # Errors
/// [`OAuthError`] when the client does not authenticate, or can't have what it asks for.
pub async fn token(
    State(state): State<HttpState>,
    arrival: Arrival,
    form: Form,
) -> Result<Response, OAuthError> {
    let client = state.auth.clients.authenticate_client(&credentials(&form)?).await?;
    let grant: GrantType =
        form.required("grant_type")?.parse().map_err(|_| OAuthError::unsupported_grant_type())?;
    refuse_of_exchange(grant, &form)?;
    match grant {
        GrantType::ClientCredentials => {
            let issued = state.auth.clients.issue_service_token(&client, &asked(&form)?).await?;
            Ok(respond(issued, None))
        }
        GrantType::RefreshToken => {
            let token = form.required("refresh_token")?;
            let device = device(&form.headers, &arrival);
            let asked = asked(&form)?;
            let tokens = state.auth.sessions.refresh_grant(token, &client, device, &asked).await?;
            Ok(TokenAnswer::respond(tokens))
        }
        GrantType::TokenExchange => exchange(&state, &client, &form).await,
    }
}

/// Describes `POST /oauth/token`.
pub(crate) fn describe() -> Operation {
    let operation = Operation::new("token", "OAuth", "Issues tokens to programs (RFC 6749 §3.2).")
        .describe(
            "`client_credentials` (§4.4), `refresh_token` (§6) and token exchange (RFC 8693). `scope`, `resource` and \
             `audience` narrow in every grant, and never widen. What can't be granted is refused.",
        )
        .takes_form(json!({"oneOf": grants()}));
    docs::describe(operation, &[])
        .reply(Reply::any_of::<TokenAnswer, IssuedAnswer>(
            200,
            "An access token; with the grant `refresh_token`, the next refresh token too",
        ))
        .reply(Reply::oauth_error(
            400,
            &[
                "invalid_request",
                "invalid_grant",
                "invalid_scope",
                "invalid_target",
                "unauthorized_client",
                "unsupported_grant_type",
            ],
            "The request can't be read, or the client can't have what it asks for",
        ))
        .reply(docs::limited())
}

/// The form of each grant.
fn grants() -> [Value; 3] {
    let scope = json!({"type": "string", "pattern": SCOPE, "description": "Space-separated."});
    let target = json!({
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "description": "An audience. `resource` (RFC 8707) and `audience` (RFC 8693) mean the same. Each may come several times.",
    });
    let text = |description: &str| json!({"type": "string", "minLength": 1, "description": description});
    let of = |grant: GrantType| json!({"const": grant.as_str()});
    [
        docs::schema(
            &["grant_type"],
            json!({
                "grant_type": of(GrantType::ClientCredentials),
                "requested_token_type": {"const": ACCESS_TOKEN},
                "scope": scope,
                "resource": target,
                "audience": target,
            }),
        ),
        docs::schema(
            &["grant_type", "refresh_token"],
            json!({
                "grant_type": of(GrantType::RefreshToken),
                "refresh_token": text("The refresh token."),
                "requested_token_type": {"const": ACCESS_TOKEN},
                "scope": scope,
                "resource": target,
                "audience": target,
            }),
        ),
        docs::schema(
            &["grant_type", "subject_token", "subject_token_type"],
            json!({
                "grant_type": of(GrantType::TokenExchange),
                "subject_token": text("The access token that the client received."),
                "subject_token_type": {"const": ACCESS_TOKEN},
                "requested_token_type": {"const": ACCESS_TOKEN},
                "scope": scope,
                "resource": target,
                "audience": target,
            }),
        ),
    ]
}

/// Refuses the parameters of a token exchange in another grant: there they would have no effect.
fn refuse_of_exchange(grant: GrantType, form: &Form) -> Result<(), OAuthError> {
    let names = ["subject_token", "subject_token_type", "actor_token", "actor_token_type"];
    match names.into_iter().find(|name| grant != GrantType::TokenExchange && form.one(name).is_some()) {
        None => Ok(()),
        Some(name) => {
            let grant = GrantType::TokenExchange.as_str();
            Err(OAuthError::invalid_request(format!("The parameter {name} belongs to the grant {grant}")))
        }
    }
}

async fn exchange(state: &HttpState, client: &OAuthClient, form: &Form) -> Result<Response, OAuthError> {
    let subject = form.required("subject_token")?;
    if form.required("subject_token_type")? != ACCESS_TOKEN {
        return Err(OAuthError::invalid_request(format!("Only tokens of type {ACCESS_TOKEN} are exchanged")));
    }
    if form.one("actor_token").is_some() {
        return Err(OAuthError::invalid_request("The client itself is the actor; leave actor_token out"));
    }
    let issued = state.auth.clients.exchange(client, subject, &asked(form)?).await?;
    Ok(respond(issued, Some(ACCESS_TOKEN)))
}

/// Reads what narrows the token, in every grant alike: a parameter that asks for less has an effect or is refused.
fn asked(form: &Form) -> Result<GrantRequest, OAuthError> {
    if form.one("requested_token_type").is_some_and(|kind| kind != ACCESS_TOKEN) {
        return Err(OAuthError::invalid_request(format!("Only tokens of type {ACCESS_TOKEN} are issued")));
    }
    if form.one("authorization_details").is_some() {
        return Err(OAuthError::invalid_request(
            "authorization_details (RFC 9396) is not supported; narrow the token by scope, resource or audience",
        ));
    }
    let scope = form.one("scope").map(str::parse::<Scope>).transpose();
    let scope = scope.map_err(|_| OAuthError::invalid_scope())?;
    let resources =
        ["resource", "audience"].iter().flat_map(|name| form.all(name)).map(Audience::new).collect();
    Ok(GrantRequest { scope, resources })
}

fn respond(issued: Issued, issued_token_type: Option<&'static str>) -> Response {
    let body = IssuedAnswer {
        access_token: issued.access_token,
        token_type: "Bearer",
        expires_in: issued.expires_in.as_secs(),
        scope: issued.scope.to_string(),
        issued_token_type,
    };
    about_token(&body)
}
