//! The part alone, on a database of its own; and the work that a login and a refresh give the database.

use super::{
    login::LoginError,
    refresh::{RefreshError, ShownBy},
};
use crate::{
    domain::{client::ClientId, session::Device},
    ops::{
        testing::{Bench, PASSWORD},
        tokens::mint::Delivery,
    },
    store::statistics::Reads,
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

/// The commits, and the reads of accounts and sessions, of `work`.
async fn counted<T>(bench: &Bench, work: impl Future<Output = T>) -> (T, (usize, Reads)) {
    let store = &bench.context.store;
    let (commits, before) = (store.commits(), store.reads());
    let done = work.await;
    let after = store.reads();
    let reads =
        Reads { accounts: after.accounts - before.accounts, sessions: after.sessions - before.sessions };
    (done, (store.commits() - commits, reads))
}

#[tokio::test]
async fn a_login_writes_twice_and_reads_the_account_once() {
    let bench = bench().await;
    let sessions = bench.sessions();
    let login = || {
        let password = PASSWORD.to_owned().into();
        sessions.login("test@example.com", password, Delivery::Body, Device::default())
    };
    for _ in 0..2 {
        // In the first the mint watermark is raised, too.
        let (begun, work) = counted(&bench, login()).await;
        assert!(begun.is_ok());
        assert_eq!(work, (2, Reads { accounts: 1, sessions: 0 }));
    }
    for _ in 0..10 {
        assert!(login().await.is_ok(), "a try that succeeded is given back");
    }
}

#[tokio::test]
async fn a_refresh_by_cookie_writes_once_and_reads_the_session_once() {
    let bench = bench().await;
    let sessions = bench.sessions();
    let password = PASSWORD.to_owned().into();
    let begun = sessions.login("test@example.com", password, Delivery::Cookie, Device::default()).await;
    let (begun, client) = (begun.unwrap(), ClientId::first_party());
    let csrf = begun.csrf.unwrap();
    let refresh = |csrf| {
        let shown_by = ShownBy::Cookie { csrf };
        sessions.refresh(&begun.refresh_token, &client, shown_by, Device::default())
    };
    let (refused, work) = counted(&bench, refresh("another")).await;
    assert!(matches!(refused, Err(RefreshError::CsrfMismatch)));
    assert!(matches!(refresh("").await, Err(RefreshError::CsrfMissing)));
    assert_eq!(work, (0, Reads { accounts: 0, sessions: 1 }));
    let (next, work) = counted(&bench, refresh(&csrf)).await;
    assert_eq!(next.unwrap().csrf.as_ref(), Some(&csrf));
    assert_eq!(work, (1, Reads { accounts: 1, sessions: 1 }));
}
