//! `POST /oauth/token`

use axum::{extract::State, response::Response};
use countermark::verify::{Audience, Scope};
use countermark_service::http::Arrival;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    client::credentials,
    error::{OAuthError, OAuthErrorBody},
    form::Form,
};
use crate::{
    domain::{client::GrantType, granting::GrantRequest},
    http::{
        HttpState,
        answer::{TokenAnswer, about_token},
        device,
    },
    ops::{oauth::authenticate_client::OAuthClient, tokens::mint::Issued},
};

/// The one type of token that is exchanged (RFC 8693 §3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// What the token endpoint takes; a form, not JSON.
#[derive(Deserialize, ToSchema)]
pub struct TokenRequest {
    #[schema(example = "client_credentials")]
    #[serde(rename = "grant_type")]
    _grant_type: String,
    /// Unless the client shows itself in `Authorization`.
    #[serde(rename = "client_id")]
    _client_id: Option<String>,
    #[schema(format = Password)]
    #[serde(rename = "client_secret")]
    _client_secret: Option<String>,
    /// Space-separated; narrows.
    #[serde(rename = "scope")]
    _scope: Option<String>,
    /// An audience (RFC 8707); narrows. May come several times.
    #[serde(rename = "resource")]
    _resource: Option<String>,
    /// For the grant `refresh_token`.
    #[serde(rename = "refresh_token")]
    _refresh_token: Option<String>,
    /// For a token exchange: the access token that was shown to the client.
    #[serde(rename = "subject_token")]
    _subject_token: Option<String>,
    /// For a token exchange.
    #[serde(rename = "subject_token_type")]
    _subject_token_type: Option<String>,
}

/// An access token alone, as it is answered.
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
    /// After a token exchange alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

/// Issues tokens to programs (RFC 6749 §3.2).
///
/// `client_credentials` (§4.4), `refresh_token` (§6), and token exchange (RFC 8693). `scope` and `resource` narrow, and never
/// widen.
///
/// # Errors
/// [`OAuthError`] when the client does not authenticate, or can't have what it asks for.
#[utoipa::path(
    post,
    path = "/oauth/token",
    tag = "OAuth",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    security((), ("client" = [])),
    responses(
        (status = 200, description = "An access token; with the grant `refresh_token`, the next refresh token too", body = IssuedAnswer),
        (status = 400, description = "`invalid_request`, `invalid_grant`, `invalid_scope`, `invalid_target`, \
                                      `unauthorized_client` or `unsupported_grant_type`", body = OAuthErrorBody),
        (status = 401, description = "`invalid_client`", body = OAuthErrorBody),
        (status = 503, description = "`temporarily_unavailable`", body = OAuthErrorBody),
    )
)]
pub async fn token(
    State(state): State<HttpState>,
    arrival: Arrival,
    form: Form,
) -> Result<Response, OAuthError> {
    let client = state.auth.clients.authenticate_client(&credentials(&form)?).await?;
    let grant: GrantType =
        form.required("grant_type")?.parse().map_err(|_| OAuthError::unsupported_grant_type())?;
    match grant {
        GrantType::ClientCredentials => {
            let issued =
                state.auth.clients.issue_service_token(&client, &asked(&form, &["resource"])?).await?;
            Ok(respond(issued, None))
        }
        GrantType::RefreshToken => {
            let token = form.required("refresh_token")?;
            let device = device(&form.headers, &arrival);
            let asked = asked(&form, &["resource"])?;
            let tokens = state.auth.sessions.refresh_grant(token, &client, device, &asked).await?;
            Ok(TokenAnswer::respond(tokens))
        }
        GrantType::TokenExchange => exchange(&state, &client, &form).await,
    }
}

async fn exchange(state: &HttpState, client: &OAuthClient, form: &Form) -> Result<Response, OAuthError> {
    let subject = form.required("subject_token")?;
    let kinds = [Some(form.required("subject_token_type")?), form.one("requested_token_type")];
    if kinds.into_iter().flatten().any(|kind| kind != ACCESS_TOKEN) {
        return Err(OAuthError::invalid_request(format!("Only tokens of type {ACCESS_TOKEN} are exchanged")));
    }
    if form.one("actor_token").is_some() {
        return Err(OAuthError::invalid_request("The client itself is the actor; leave actor_token out"));
    }
    let issued =
        state.auth.clients.exchange(client, subject, &asked(form, &["resource", "audience"])?).await?;
    Ok(respond(issued, Some(ACCESS_TOKEN)))
}

fn asked(form: &Form, targets: &[&str]) -> Result<GrantRequest, OAuthError> {
    let scope = form.one("scope").map(str::parse::<Scope>).transpose();
    let scope = scope.map_err(|_| OAuthError::invalid_scope())?;
    let resources = targets.iter().flat_map(|name| form.all(name)).map(Audience::new).collect();
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
