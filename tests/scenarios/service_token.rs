//! The client for a service's own token, with the real issuer: it fetches once, renews in time, and adds the token to
//! calls.

use std::{sync::Arc, time::Duration};

use countermark::{
    clock::Clock,
    issuer::{
        introspection::{IntrospectionClient, IntrospectionConfig},
        service_token::{InvalidConfig, ServiceToken, ServiceTokenConfig, ServiceTokenError, ServiceTokens},
    },
    random::SeededRandom,
};
use countermark_proto::auth_v1::{
    IntrospectRequest, introspection_client::IntrospectionClient as GrpcClient,
};
use serde_json::{Value, json};
use tests::{
    World,
    jws::payload,
    until,
    world::{AUDIENCE, BILLING, ISSUER, MUTE, RESOURCE},
};
use tonic::Code;
use tower::Layer as _;
use zeroize::Zeroizing;

/// Lifetime of the issuer's tokens.
const LIFE: Duration = Duration::from_mins(15);

fn config(world: &World, (id, secret): (&str, &str)) -> ServiceTokenConfig {
    let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
    ServiceTokenConfig::new(ISSUER, id, Zeroizing::new(secret.to_owned()))
        .reached_at(format!("http://{}", world.auth().address))
        .with_http(reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap())
        .with_clock(clock)
        .with_random(Arc::new(SeededRandom::new(1)))
}

fn source(world: &World) -> ServiceTokens {
    ServiceTokens::new(config(world, RESOURCE)).unwrap()
}

/// An HTTP client without proxy and TLS.
fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

/// Number of requests at the token endpoint, whatever the answers.
async fn fetches(world: &World) -> u64 {
    let metrics = world.auth_ops().get("/metrics").await;
    let lines = metrics.text().lines().filter(|line| {
        line.starts_with("countermark_http_requests_total{") && line.contains(r#"route="/oauth/token""#)
    });
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

fn claims(token: &ServiceToken) -> Value {
    payload(token.expose())
}

/// Revokes a token as its own client.
async fn revoke(world: &World, client: (&str, &str), token: &ServiceToken) {
    let answer = world.auth().post("/oauth/revoke").basic(client).form(&[("token", token.expose())]).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fetch_serves_all_who_ask() {
    let world = World::of_auth_alone(&[]).await;
    let tokens = source(&world);
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let tokens = tokens.clone();
            tokio::spawn(async move { tokens.token().await.unwrap() })
        })
        .collect();
    let first = tokens.token().await.unwrap();
    for token in asking {
        assert!(Arc::ptr_eq(&token.await.unwrap(), &first));
    }
    assert_eq!(fetches(&world).await, 1);
    let claims = claims(&first);
    assert_eq!(
        (&claims["sub"], &claims["scope"]),
        (&json!(RESOURCE.0), &json!("documents:read archive:read"))
    );
    assert_eq!(first.scope(), "documents:read archive:read");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_narrows_the_token() {
    let world = World::of_auth_alone(&[]).await;
    let scoped = config(&world, RESOURCE).with_scope("archive:read".parse().unwrap());
    let token = ServiceTokens::new(scoped).unwrap().token().await.unwrap();
    assert_eq!(
        (&claims(&token)["scope"], &claims(&token)["aud"]),
        (&json!("archive:read"), &json!("archive"))
    );
    let aimed = config(&world, RESOURCE).with_resource("bare").with_resource(AUDIENCE);
    let token = ServiceTokens::new(aimed).unwrap().token().await.unwrap();
    assert_eq!(claims(&token)["aud"], json!(["bare", AUDIENCE]));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_before_it_expires_and_nobody_waits_for_it() {
    let world = World::of_auth_alone(&[]).await;
    let tokens = source(&world);
    let first = tokens.token().await.unwrap();
    world.pass(LIFE * 79 / 100);
    assert!(Arc::ptr_eq(&tokens.token().await.unwrap(), &first));
    assert_eq!(fetches(&world).await, 1);
    world.pass(LIFE * 12 / 100);
    assert!(Arc::ptr_eq(&tokens.token().await.unwrap(), &first), "the old one is good, and at hand");
    let second = until("it is renewed behind", async || {
        let now = tokens.token().await.unwrap();
        (!Arc::ptr_eq(&now, &first)).then_some(now)
    })
    .await;
    assert!(claims(&second)["exp"].as_i64() > claims(&first)["exp"].as_i64());
    assert_eq!(fetches(&world).await, 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_current_it_is_renewed_without_anybody_asking() {
    let world = World::of_auth_alone(&[]).await;
    let tokens = source(&world);
    let keeping = tokio::spawn(tokens.clone().keep_current());
    until("it is fetched", async || (fetches(&world).await == 1).then_some(())).await;
    world.pass(LIFE * 91 / 100);
    until("it is renewed", async || (fetches(&world).await == 2).then_some(())).await;
    keeping.abort();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_outlives_the_issuers_absence_and_the_source_comes_back_by_itself() {
    let mut world = World::of_auth_alone(&[]).await;
    let tokens = source(&world);
    let first = tokens.token().await.unwrap();
    world.stop_auth().await;
    // A renewal fails, and the present token stays in use.
    for _ in 0..3 {
        world.pass(LIFE * 30 / 100);
        assert!(Arc::ptr_eq(&tokens.token().await.unwrap(), &first));
    }
    // Until the present token expires.
    world.pass(LIFE * 10 / 100);
    let gone = until("the last renewal has failed", async || tokens.token().await.err()).await;
    assert!(matches!(&gone, ServiceTokenError::Unavailable(why) if why.contains("refused")), "{gone:?}");
    world.start_auth_where_it_was().await;
    assert_eq!(tokens.token().await.unwrap_err(), gone, "in the pause nobody is asked");
    assert_eq!(fetches(&world).await, 0);
    world.pass(Duration::from_secs(30));
    let second = tokens.token().await.unwrap();
    assert!(!Arc::ptr_eq(&second, &first));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_returned_and_not_tried_again_at_once() {
    let world = World::of_auth_alone(&[]).await;
    let wrong = ServiceTokens::new(config(&world, (RESOURCE.0, MUTE.1))).unwrap();
    let greedy = config(&world, RESOURCE).with_scope("archive:purge".parse().unwrap());
    let greedy = ServiceTokens::new(greedy).unwrap();
    for _ in 0..3 {
        assert_eq!(wrong.token().await.unwrap_err(), ServiceTokenError::Unauthenticated);
        let error = greedy.token().await.unwrap_err();
        assert!(
            matches!(&error, ServiceTokenError::Refused { error, .. } if error == "invalid_scope"),
            "{error:?}"
        );
    }
    assert_eq!(fetches(&world).await, 2, "one each");
    world.pass(Duration::from_secs(1));
    wrong.token().await.unwrap_err();
    assert_eq!(fetches(&world).await, 3, "the first pause is short");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_token_is_refused_is_made_once_more_with_a_new_one() {
    let world = World::of_auth_alone(&[]).await;
    let user = world.login().await.access;
    let config = config(&world, BILLING).with_scope("introspect".parse().unwrap());
    let tokens = ServiceTokens::new(config).unwrap();
    let url = format!("http://{}/oauth/introspect", world.auth().address);
    let ask = async || {
        let request = http().post(&url).header("content-type", "application/x-www-form-urlencoded");
        tokens.send(request.body(format!("token={user}"))).await.unwrap().status().as_u16()
    };
    assert_eq!((ask().await, fetches(&world).await), (200, 1));
    let first = tokens.token().await.unwrap();
    revoke(&world, BILLING, &first).await;
    // The token is too young. A new one would probably be refused too, and every call would fetch one.
    assert_eq!((ask().await, ask().await, fetches(&world).await), (401, 401, 1));
    world.pass(Duration::from_secs(10));
    assert_eq!((ask().await, fetches(&world).await), (200, 2));
    assert_eq!((ask().await, fetches(&world).await), (200, 2));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_calls_another_with_its_own_token() {
    let world = World::new().await;
    let tokens = source(&world);
    let url = format!("http://{}/documents", world.resource().address);
    let answer = tokens.send(http().get(&url)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), json!({"items": [], "next": null}).to_string());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tonic_client_shows_the_token_and_the_call_after_a_refusal_shows_a_new_one() {
    let world = World::of_auth_alone(&[]).await;
    let user = world.login().await.access;
    let config = config(&world, BILLING).with_scope("introspect".parse().unwrap());
    let tokens = ServiceTokens::new(config).unwrap();
    let client = GrpcClient::new(tokens.layer().layer(world.grpc().channel()));
    let ask = async || {
        let request = IntrospectRequest { token: user.clone() };
        client.clone().introspect(request).await.map(|answer| answer.into_inner().active)
    };
    assert!(ask().await.unwrap());
    revoke(&world, BILLING, &tokens.token().await.unwrap()).await;
    assert_eq!(ask().await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(fetches(&world).await, 1, "too young to be replaced");
    world.pass(Duration::from_secs(10));
    assert_eq!(ask().await.unwrap_err().code(), Code::Unauthenticated);
    until("a new token", async || ask().await.ok()).await;
    assert_eq!(fetches(&world).await, 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_a_tonic_call_is_unavailable_or_unauthenticated() {
    let mut world = World::of_auth_alone(&[]).await;
    let ask = async |tokens: ServiceTokens, world: &World| {
        let mut client = GrpcClient::new(tokens.layer().layer(world.grpc().channel()));
        client.introspect(IntrospectRequest::default()).await.unwrap_err()
    };
    let wrong = ServiceTokens::new(config(&world, (BILLING.0, MUTE.1))).unwrap();
    let refused = ask(wrong, &world).await;
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(refused.message(), "no service token: the issuer refused the client's credentials");
    let tokens = source(&world);
    world.stop_auth().await;
    assert_eq!(ask(tokens, &world).await.code(), Code::Unavailable);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_token_is_shown() {
    let world = World::of_auth_alone(&[]).await;
    let config = config(&world, RESOURCE);
    let shown_before = format!("{config:?}");
    let tokens = ServiceTokens::new(config).unwrap();
    let token = tokens.token().await.unwrap();
    let shown = format!("{shown_before} {tokens:?} {token:?} {:?}", token.authorization());
    assert!(shown.contains(RESOURCE.0) && shown.contains("documents:read"), "{shown}");
    assert!(!shown.contains(RESOURCE.1) && !shown.contains(token.expose()), "{shown}");
    for url in ["", "localhost", "ftp://a", "http://a?x", "http://a#x"] {
        let config = ServiceTokenConfig::new(url, "a", Zeroizing::new("b".to_owned()));
        assert!(matches!(ServiceTokens::new(config), Err(InvalidConfig::Url)), "{url}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_introspection_client_outlives_a_restart_of_the_issuer() {
    let mut world = World::of_auth_alone(&[]).await;
    let user = world.login().await.access;
    let secret = Zeroizing::new(BILLING.1.to_owned());
    let config = IntrospectionConfig::new(format!("http://{}", world.auth_grpc), BILLING.0, secret);
    let client = IntrospectionClient::new(&config.with_deadline(tests::PATIENCE)).unwrap();
    assert!(client.introspect(&user).await.unwrap().is_some());
    world.stop_auth().await;
    // The request is sent while the issuer is down. It is answered when the issuer is back.
    let asking = tokio::spawn({
        let (client, user) = (client.clone(), user.clone());
        async move { client.introspect(&user).await }
    });
    world.start_auth_where_it_was().await;
    assert!(asking.await.unwrap().unwrap().is_some());
    // The issuer crashes, too.
    world.crash_auth().await;
    world.start_auth_where_it_was().await;
    assert!(client.introspect(&user).await.unwrap().is_some());
    world.stop().await;
}
