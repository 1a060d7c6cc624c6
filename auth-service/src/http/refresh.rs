//! `POST /refresh`

use axum::{
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, header},
    response::Response,
};
use countermark::{
    http::{CSRF_HEADER, ErrorAnswer, JsonBody, MAX_BODY_BYTES, bearer_token},
    verify::AuthError,
};
use countermark_service::{
    http::Arrival,
    openapi::{Operation, Reply},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    HttpState,
    answer::TokenAnswer,
    cookies::{self, CookieAnswer},
    device,
    docs::{CHALLENGE, csrf, limited_by_token},
    error::HttpError,
};
use crate::{
    domain::client::ClientId,
    ops::{
        sessions::refresh::{RefreshError, ShownBy},
        tokens::mint::Delivery,
    },
};

/// The refresh token, for a client that does not send it as Bearer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    #[schema(example = "rt_…")]
    refresh_token: String,
}

/// Replaces the refresh token. The new access token is not fresh.
///
/// A client that lost the answer may retry with the same token: within the grace window it gets the same successor.
pub async fn refresh(
    State(state): State<HttpState>,
    arrival: Arrival,
    request: Request,
) -> Result<Response, HttpError> {
    let device = device(request.headers(), &arrival);
    let in_cookies = cookies::refresh_tokens(request.headers());
    let in_cookie = state.auth.sessions.own_refresh_token(&in_cookies);
    let csrf = csrf_value(request.headers());
    let (token, shown_by) = match (shown(request).await?, in_cookie) {
        // Browsers send the cookie unasked. It counts only if the request has no other refresh token.
        (Some(token), _) => (token, ShownBy::Program),
        (None, Some(token)) => (token.to_owned(), ShownBy::Cookie { csrf: &csrf }),
        (None, None) => return Err(AuthError::MissingToken.into()),
    };
    let tokens = state.auth.sessions.refresh(&token, &ClientId::first_party(), shown_by, device).await;
    match (tokens, shown_by.delivery()) {
        (Ok(tokens), Delivery::Body) => Ok(TokenAnswer::respond(tokens)),
        (Ok(tokens), Delivery::Cookie) => Ok(state.cookies.respond(tokens)),
        // A browser would send cookies that are no use again and again.
        (Err(error @ RefreshError::InvalidGrant(_)), Delivery::Cookie) => {
            Ok(state.cookies.cleared(HttpError::from(error)))
        }
        (Err(error), Delivery::Body | Delivery::Cookie) => Err(error.into()),
    }
}

/// Describes `POST /refresh`.
pub(super) fn describe() -> Operation {
    let operation = Operation::new("refresh", "Sessions", "Replaces a refresh token.")
        .describe(
            "Answers an access token that is not fresh, and the next refresh token. A client that lost the answer may \
             retry: within `AUTH_REFRESH_GRACE` it gets the same tokens. The refresh token is shown once: as Bearer, in \
             the body, or in the cookie.",
        )
        .secured_by(&["", "refresh", "refresh_cookie"])
        .may_take::<RefreshRequest>();
    csrf(operation)
        .reply(
            Reply::one_of::<TokenAnswer, CookieAnswer>(200, "An access token, and the next refresh token")
                .may_have_header("Set-Cookie", "The tokens, for a request by cookie"),
        )
        .reply(
            Reply::error(
                400,
                &["invalid_request"],
                "The body can't be read, or the request has several tokens",
            )
            .may_have_header("WWW-Authenticate", CHALLENGE),
        )
        .reply(
            Reply::error(
                401,
                &["missing_token", "invalid_token", "invalid_grant"],
                "There is no refresh token, or it is not accepted",
            )
            .may_have_header("WWW-Authenticate", CHALLENGE),
        )
        .reply(Reply::error(403, &["csrf"], "The CSRF value of a request by cookie is missing or wrong"))
        .reply(limited_by_token())
}

/// The one token of the request, as Bearer or as the member `refresh_token`.
pub(super) async fn shown(request: Request) -> Result<Option<String>, HttpError> {
    let in_header = bearer_token(request.headers())?;
    let in_body = in_body(request).await?;
    if in_header.is_some() && in_body.is_some() {
        return Err(AuthError::SeveralTokens.into());
    }
    Ok(in_header.or(in_body))
}

fn csrf_value(headers: &HeaderMap) -> String {
    let value = headers.get(CSRF_HEADER).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    value.unwrap_or_default()
}

/// The token of a JSON body. `None` when there is no body, whatever the content type is.
async fn in_body(request: Request) -> Result<Option<String>, ErrorAnswer> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| ErrorAnswer::payload_too_large())?;
    if body.is_empty() {
        return Ok(None);
    }
    let JsonBody::<RefreshRequest>(shown) = JsonBody::parse(parts.headers.get(header::CONTENT_TYPE), &body)?;
    Ok(Some(shown.refresh_token))
}
