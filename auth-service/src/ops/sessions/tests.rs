//! The part alone, on a database of its own; and the work that a login and a refresh give the database.

use super::{login::LoginError, refresh::ShownBy};
use crate::{
    domain::{client::ClientId, session::Device},
    ops::{
        testing::{Bench, PASSWORD},
        tokens::mint::Delivery,
    },
};

async fn bench() -> Bench {
    let bench = Bench::open().await;
    let added = bench.context.store.add_account(bench.account(), None, None).await.unwrap();
    assert_eq!(added, Ok(()));
    bench
}

#[tokio::test]
async fn a_session_is_begun_continued_and_ended() {
    let bench = bench().await;
    let sessions = bench.sessions();
    let wrong =
        sessions.login("test@example.com", "wrong".to_owned().into(), Delivery::Body, Device::default());
    assert!(matches!(wrong.await, Err(LoginError::BadCredentials)));
    let login = |delivery| {
        sessions.login("test@example.com", PASSWORD.to_owned().into(), delivery, Device::default())
    };
    let begun = login(Delivery::Body).await.unwrap();
    let client = ClientId::first_party();
    let next = sessions.refresh(&begun.refresh_token, &client, ShownBy::Program, Device::default()).await;
    let next = next.unwrap();
    sessions.logout_with_refresh_token(&next.refresh_token, &Device::default()).await.unwrap();
    let over = sessions.refresh(&next.refresh_token, &client, ShownBy::Program, Device::default()).await;
    assert_eq!(over.unwrap_err().to_string(), "the refresh token is refused: the session is over");
}
