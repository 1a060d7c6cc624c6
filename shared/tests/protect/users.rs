//! The user behind a token.

use std::{collections::HashMap, time::Duration};

use axum::{Router, extract::FromRef, routing::get};
use countermark::{
    http::{CurrentUser, ErrorAnswer, Guard, LoadUser},
    testing::TestIssuer,
    verify::VerifiedToken,
};

use crate::ask;

#[derive(Clone)]
struct State {
    guard: Guard,
    users: Option<HashMap<&'static str, &'static str>>,
}

impl FromRef<State> for Guard {
    fn from_ref(state: &State) -> Self {
        state.guard.clone()
    }
}

struct User {
    name: &'static str,
}

impl LoadUser<State> for User {
    async fn load(token: &VerifiedToken, state: &State) -> Result<Option<Self>, ErrorAnswer> {
        tokio::task::yield_now().await;
        let gone = || ErrorAnswer::unavailable("No users at the moment", Duration::from_secs(1));
        let users = state.users.as_ref().ok_or_else(gone)?;
        Ok(users.get(token.claims().sub.as_str()).map(|&name| Self { name }))
    }
}

fn app(issuer: &TestIssuer, users: Option<HashMap<&'static str, &'static str>>) -> Router {
    let optional = async |user: Option<CurrentUser<User>>| user.map_or("nobody", |user| user.name);
    Router::new()
        .route(
            "/",
            get(async |user: CurrentUser<User>| format!("{} ({})", user.name, user.token.claims().sub)),
        )
        .route("/optional", get(optional))
        .with_state(State { guard: issuer.guard(), users })
}

#[tokio::test]
async fn the_current_user_is_looked_up_by_the_service() {
    let issuer = TestIssuer::new();
    let app = app(&issuer, Some(HashMap::from([("alice", "Alice"), ("empty", "")])));
    ask::get("/").bearer(issuer.token("alice").sign()).of(&app).await.says("Alice (alice)");
    ask::get("/optional").bearer(issuer.token("alice").sign()).of(&app).await.says("Alice");
    ask::get("/").bearer(issuer.token("empty").sign()).of(&app).await.says(" (empty)");
    ask::get("/").of(&app).await.refuses(401, "missing_token");
    ask::get("/").bearer(issuer.token("alice").forged()).of(&app).await.refuses(401, "invalid_token");
}

#[tokio::test]
async fn a_user_whom_the_service_does_not_know_is_401() {
    let issuer = TestIssuer::new();
    let app = app(&issuer, Some(HashMap::new()));
    for path in ["/", "/optional"] {
        let answer = ask::get(path).bearer(issuer.token("mallory").sign()).of(&app).await;
        answer.refuses(401, "invalid_token");
        assert!(!answer.text().contains("mallory"), "{answer:?}");
    }
}

#[tokio::test]
async fn without_a_token_nobody_is_looked_up_and_a_look_up_that_fails_is_the_services_own_answer() {
    let issuer = TestIssuer::new();
    let app = app(&issuer, None);
    ask::get("/optional").of(&app).await.says("nobody");
    let answer = ask::get("/optional").bearer(issuer.token("alice").sign()).of(&app).await;
    answer.refuses(503, "temporarily_unavailable");
}
