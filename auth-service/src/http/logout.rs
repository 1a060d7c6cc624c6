//! `POST /logout`, `POST /logout-all`

use axum::{
    Json,
    extract::{Request, State},
    http::HeaderMap,
    response::IntoResponse,
};
use countermark::{
    http::{ACCESS_COOKIES, AccessToken, bearer_token, cookies},
    verify::{AnyAge, AuthError, REFRESH_TOKEN_PREFIX, TokenError},
};
use countermark_service::{
    http::Arrival,
    openapi::{Operation, Reply},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    HttpState,
    barrier::{Confirmation, Wait},
    device,
    docs::{CHALLENGE, OfAccount, csrf},
    error::HttpError,
    refresh,
};
use crate::{domain::session::Device, ops::watch::barrier::Revoked};

/// A session ended. There is nothing more to say.
#[derive(Debug, Serialize, ToSchema)]
#[schema(max_properties = 0)]
struct Ended {}

/// Ends the session of an access token, which may have expired, or of a refresh token, of any generation.
///
/// The answer is the same when the session is over already.
pub async fn logout(
    State(state): State<HttpState>,
    arrival: Arrival,
    wait: Wait,
    request: Request,
) -> Result<impl IntoResponse, HttpError> {
    let device = device(request.headers(), &arrival);
    let (head, body) = request.into_parts();
    let parts = head.clone();
    let revoked = match refresh::shown(Request::from_parts(head, body)).await? {
        Some(token) if token.starts_with(REFRESH_TOKEN_PREFIX) => {
            state.auth.sessions.logout_with_refresh_token(&token, &device).await?
        }
        Some(token) => {
            let verified = state.guard.verify_token_any_age(&token).await.map(Some);
            by_access_token(&state, verified, Some(token), &device).await?
        }
        None => {
            let verified = state.guard.verify_any_age(&parts).await;
            by_access_token(&state, verified, shown_token(&parts.headers), &device).await?
        }
    };
    Ok(state.cookies.cleared(wait.answer(&state, revoked, Json(Ended {})).await?))
}

/// Describes `POST /logout`.
pub(super) fn describe() -> Operation {
    let operation = Operation::new("logout", "Sessions", "Ends the session of a token.")
        .describe(
            "Takes an access token, which may have expired, or a refresh token of any generation: as Bearer, in the body, \
             or the access token in its cookie. The answer is the same when the session is over already.",
        )
        .secured_by(&["", "access", "refresh", "access_cookie"])
        .may_take::<refresh::RefreshRequest>();
    csrf(Wait::describe(operation))
        .reply(ended())
        .reply(
            Reply::error(400, &["invalid_request"], "The request can't be read, or has several tokens")
                .may_have_header("WWW-Authenticate", CHALLENGE),
        )
        .reply(
            Reply::error(
                401,
                &["missing_token", "invalid_token", "invalid_grant"],
                "There is no token, or it is not accepted",
            )
            .may_have_header("WWW-Authenticate", CHALLENGE),
        )
        .reply(
            Reply::error(
                403,
                &["insufficient_scope", "csrf"],
                "The token is not a user's, or the CSRF value of a request by cookie is missing or wrong",
            )
            .may_have_header("WWW-Authenticate", CHALLENGE),
        )
}

fn ended() -> Reply {
    Reply::one_of::<Ended, Confirmation>(200, "The session is over; with `wait`, at which verifiers")
        .with_header("Set-Cookie", "Both cookies, emptied")
}

async fn by_access_token(
    state: &HttpState,
    verified: Result<Option<AnyAge>, AuthError>,
    token: Option<String>,
    device: &Device,
) -> Result<Revoked, HttpError> {
    match verified {
        Ok(Some(token)) => Ok(state.auth.sessions.logout(token.claims(), device).await?),
        // The session ended before, which is all that a logout asks for.
        Err(AuthError::Token(TokenError::Revoked)) => {
            Ok(state.auth.sessions.logout_again(token.as_deref())?)
        }
        Ok(None) => Err(AuthError::MissingToken.into()),
        Err(refusal) => Err(refusal.into()),
    }
}

/// The access token of the header, or of a cookie.
fn shown_token(headers: &HeaderMap) -> Option<String> {
    let in_cookie =
        || ACCESS_COOKIES.iter().find_map(|name| cookies(headers, name).next().map(str::to_owned));
    bearer_token(headers).ok().flatten().or_else(in_cookie)
}

/// Ends every session of the account.
pub async fn logout_all(
    State(state): State<HttpState>,
    token: AccessToken,
    arrival: Arrival,
    wait: Wait,
    headers: HeaderMap,
) -> Result<impl IntoResponse, HttpError> {
    let revoked = state.auth.sessions.logout_all(&token, &device(&headers, &arrival)).await?;
    Ok(state.cookies.cleared(wait.answer(&state, revoked, Json(Ended {})).await?))
}

/// Describes `POST /logout-all`.
pub(super) fn describe_all() -> Operation {
    Wait::describe(Operation::new("logout_all", "Sessions", "Ends every session of the account."))
        .changing_account()
        .reply(ended())
}
