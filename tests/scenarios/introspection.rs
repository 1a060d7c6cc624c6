//! Introspection over gRPC.

use std::time::Duration;

use countermark_proto::auth_v1::{Claims, IntrospectRequest, IntrospectResponse};
use serde_json::{Value, json};
use tests::{
    PATIENCE, World,
    forge::with,
    process::{AUTH, Start},
    world::{AUDIENCE, BEGINNING, BILLING, ISSUER, MUTE, PLAIN, STRANGER},
};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

const INACTIVE: IntrospectResponse = IntrospectResponse { active: false, claims: None };

/// The expected answer for a live token with these claims.
fn active(claims: &Value) -> IntrospectResponse {
    let text = |name: &str| claims[name].as_str().map(str::to_owned);
    let texts = |name: &str| -> Vec<String> {
        let list = claims[name].as_array().cloned().unwrap_or_default();
        list.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    let claims = Claims {
        iss: text("iss").unwrap(),
        sub: text("sub").unwrap(),
        aud: text("aud").map_or_else(|| texts("aud"), |one| vec![one]),
        exp: claims["exp"].as_i64().unwrap(),
        iat: claims["iat"].as_i64().unwrap(),
        jti: text("jti").unwrap(),
        client_id: text("client_id").unwrap(),
        scope: text("scope"),
        roles: texts("roles"),
        email: text("email"),
        sid: text("sid"),
        auth_time: claims["auth_time"].as_i64(),
        fresh: claims["fresh"].as_bool(),
        amr: texts("amr"),
        csrf: text("csrf"),
        custom: None,
    };
    IntrospectResponse { active: true, claims: Some(claims) }
}

/// The claims of a service token for the issuer.
fn service() -> Value {
    json!({
        "iss": ISSUER, "sub": BILLING.0, "aud": ISSUER, "client_id": BILLING.0, "jti": "1", "scope": "introspect",
        "iat": BEGINNING, "exp": BEGINNING + 900,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_token_is_active_and_its_claims_are_answered_field_by_field() {
    let world = World::new().await;
    let (admin, plain) = (world.login().await, world.login_as(PLAIN).await);
    let refreshed = world.refresh(&admin.refresh).await;
    for tokens in [&admin, &plain, &refreshed] {
        assert_eq!(world.introspect(&tokens.access).await, active(&tokens.claims()));
    }
    let forge = world.forge();
    let service = with(&service(), &[("aud", json!(AUDIENCE)), ("csrf", json!("c"))]);
    for claims in [service, with(&admin.claims(), &[("aud", json!(["x", AUDIENCE]))])] {
        assert_eq!(world.introspect(forge.token(&claims)).await, active(&claims));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_claims_are_answered_as_they_stand_in_the_token() {
    use prost_types::{ListValue, Struct, value::Kind};
    let world = World::new().await;
    let value = |kind| prost_types::Value { kind: Some(kind) };
    let claims = world.login().await.claims();
    let members = [
        ("tenant", json!("x"), value(Kind::StringValue("x".into()))),
        ("level", json!(2.5), value(Kind::NumberValue(2.5))),
        ("nothing", json!(null), value(Kind::NullValue(0))),
        ("flag", json!(true), value(Kind::BoolValue(true))),
        (
            "list",
            json!([1]),
            value(Kind::ListValue(ListValue { values: vec![value(Kind::NumberValue(1.0))] })),
        ),
        ("object", json!({}), value(Kind::StructValue(Struct::default()))),
    ];
    let added: Vec<_> = members.iter().map(|(name, value, _)| (*name, value.clone())).collect();
    let token = world.forge().token(&with(&claims, &added));
    let custom = world.introspect(token).await.claims.unwrap().custom.expect("custom claims");
    assert_eq!(custom.fields, members.into_iter().map(|(name, _, value)| (name.to_owned(), value)).collect());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_prove_who_they_are_learns_nothing() {
    let world = World::new().await;
    let token = world.login().await.access;
    let grpc = world.grpc();
    let forge = world.forge();
    let service_token = |members: &[(&str, Value)]| forge.token(&with(&service(), members));
    let callers = [
        ("nobody", grpc.clone()),
        ("a wrong secret", grpc.basic(BILLING.0, "wrong-secret-wrong-secret-wrong-secret-0")),
        ("no secret", grpc.basic(BILLING.0, "")),
        ("another client's secret", grpc.basic(BILLING.0, STRANGER.1)),
        ("an unknown client", grpc.basic("unknown", BILLING.1)),
        ("no client", grpc.basic("", BILLING.1)),
        ("the reserved client", grpc.basic("first-party", "")),
        ("SQL", grpc.basic("billing' --", BILLING.1)),
        ("another scheme", grpc.authorized("Digest x")),
        ("no base64", grpc.authorized("Basic !!!")),
        ("no colon", grpc.authorized("Basic YmlsbGluZw==")),
        ("an empty value", grpc.authorized("")),
        ("two of them", grpc.basic(BILLING.0, BILLING.1).basic(BILLING.0, BILLING.1)),
        ("a user's token", grpc.bearer(&token)),
        ("garbage as a token", grpc.bearer("garbage")),
        ("a service token for somebody else", grpc.bearer(&service_token(&[("aud", json!(AUDIENCE))]))),
        (
            "a service token of another issuer",
            grpc.bearer(&service_token(&[("iss", json!("http://evil.test"))])),
        ),
        ("an expired service token", grpc.bearer(&service_token(&[("exp", json!(BEGINNING))]))),
        ("a service token of nobody", grpc.bearer(&service_token(&[("sub", json!("unknown"))]))),
        (
            "a user with the scope",
            grpc.bearer(&service_token(&[("sub", tests::jws::payload(&token)["sub"].clone())])),
        ),
    ];
    let expected = grpc.refused(&token).await;
    assert_eq!(expected.0, Code::Unauthenticated);
    for (who, caller) in callers {
        assert_eq!(caller.refused(&token).await, expected, "{who}");
        assert_eq!(caller.refused("garbage").await, expected, "{who}");
        assert_eq!(caller.batch(vec![]).await.expect_err("a refusal").code(), Code::Unauthenticated, "{who}");
        // The caller is authenticated before any look-up, even before the size of the batch is checked.
        let many = caller.batch(vec![String::new(); 1_001]).await.expect_err("a refusal");
        assert_eq!(many.code(), Code::Unauthenticated, "{who}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_the_scope_may_not_ask() {
    let world = World::new().await;
    let token = world.login().await.access;
    let forge = world.forge();
    let scopeless = forge.token(&with(&service(), &[("scope", json!("documents:read"))]));
    let grpc = world.grpc();
    let overreaching =
        forge.token(&with(&service(), &[("sub", json!(MUTE.0)), ("client_id", json!(MUTE.0))]));
    for caller in [grpc.basic(MUTE.0, MUTE.1), grpc.bearer(&scopeless), grpc.bearer(&overreaching)] {
        assert_eq!(caller.refused(&token).await.0, Code::PermissionDenied);
        assert_eq!(
            caller.batch(vec![token.clone()]).await.expect_err("a refusal").code(),
            Code::PermissionDenied
        );
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_token_proves_a_caller_as_well_as_a_secret_does() {
    let world = World::new().await;
    let tokens = world.login().await;
    let forge = world.forge();
    for aud in [json!(ISSUER), json!([AUDIENCE, ISSUER])] {
        let caller = world.grpc().bearer(&forge.token(&with(&service(), &[("aud", aud)])));
        assert_eq!(caller.introspect(&tokens.access).await.unwrap(), active(&tokens.claims()));
    }
    for scheme in ["bearer", "BEARER"] {
        let caller = world.grpc().authorized(&format!("{scheme} {}", forge.token(&service())));
        assert!(caller.introspect(&tokens.access).await.unwrap().active);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_learns_of_tokens_for_its_own_audiences_only() {
    let world = World::new().await;
    let (tokens, forge) = (world.login().await, world.forge());
    let stranger = world.grpc().basic(STRANGER.0, STRANGER.1);
    assert_eq!(stranger.introspect(&tokens.access).await.unwrap(), INACTIVE);
    let theirs = with(&tokens.claims(), &[("aud", json!("archive"))]);
    assert_eq!(stranger.introspect(forge.token(&theirs)).await.unwrap(), active(&theirs));
    assert_eq!(world.introspect(forge.token(&theirs)).await, INACTIVE);
    let both = with(&tokens.claims(), &[("aud", json!(["archive", AUDIENCE]))]);
    assert_eq!(stranger.introspect(forge.token(&both)).await.unwrap(), active(&both));
    assert_eq!(world.introspect(forge.token(&both)).await, active(&both));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_live_access_token_is_inactive_and_no_more_is_said() {
    let world = World::new().await;
    let tokens = world.login().await;
    for token in [tokens.refresh.as_str(), "", "x", "rt_x", "\u{1F600}", BILLING.1] {
        assert_eq!(world.introspect(token).await, INACTIVE, "{token}");
    }
    assert_eq!(world.introspect("x".repeat(1_000_000)).await, INACTIVE);
    world.pass(Duration::from_millis(899_999));
    assert!(world.introspect(&tokens.access).await.active);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.introspect(&tokens.access).await, INACTIVE);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_answered_in_its_order_and_has_a_thousand_tokens_at_most() {
    let world = World::new().await;
    let (admin, plain) = (world.login().await, world.login_as(PLAIN).await);
    let billing = world.grpc().basic(BILLING.0, BILLING.1);
    let batch = vec![
        plain.access.clone(),
        "x".into(),
        admin.access.clone(),
        admin.refresh.clone(),
        plain.access.clone(),
    ];
    let expected =
        [active(&plain.claims()), INACTIVE, active(&admin.claims()), INACTIVE, active(&plain.claims())];
    assert_eq!(billing.batch(batch).await.unwrap(), expected);
    assert_eq!(billing.batch(vec![]).await.unwrap(), []);
    let most = billing.batch(vec![admin.access.clone(); 1_000]).await.unwrap();
    assert_eq!(most, vec![active(&admin.claims()); 1_000]);
    let refused = billing.batch(vec!["x".into(); 1_001]).await.expect_err("a refusal");
    assert_eq!(refused.code(), Code::InvalidArgument);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_comes_often_in_a_batch_is_verified_once() {
    let world = World::of_auth_alone(&[]).await;
    // Each verification of a token that is not alive writes a line to the log.
    let process =
        Start::of(AUTH).envs(world.auth_settings()).env("AUTH_LOG", "auth_service=debug").listen().await;
    let billing = process.grpc().basic(BILLING.0, BILLING.1);
    let batch: Vec<_> = (0..1_000).map(|place| ["a", "b", "c"][place % 3].to_owned()).collect();
    assert_eq!(billing.batch(batch).await.unwrap(), vec![INACTIVE; 1_000]);
    let said = process.stop().await.stderr;
    assert_eq!(said.lines().filter(|line| line.contains("token inactive")).count(), 3, "{said}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_has_4_mib_at_most_and_one_of_another_service_64_kib() {
    let world = World::new().await;
    let billing = world.grpc().basic(BILLING.0, BILLING.1);
    let refused = billing.introspect("x".repeat(4 * 1_024 * 1_024)).await.expect_err("a refusal");
    assert_eq!(refused.code(), Code::OutOfRange);
    assert_eq!(billing.introspect("x".repeat(4 * 1_024 * 1_024 - 16)).await.unwrap(), INACTIVE);
    let service = "x".repeat(64 * 1_024);
    let check = HealthClient::new(world.grpc().channel()).check(HealthCheckRequest { service }).await;
    assert_eq!(check.expect_err("a refusal").code(), Code::OutOfRange);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_that_it_serves_and_stops_saying_so() {
    let world = World::new().await;
    let mut health = HealthClient::new(world.grpc().channel());
    for service in ["", "auth.v1.Introspection", "auth.v1.Revocations"] {
        let check = HealthCheckRequest { service: service.to_owned() };
        let answer = tests::until("serving", async || {
            let mut health = HealthClient::new(world.grpc().channel());
            let answer = health.check(check.clone()).await.unwrap().into_inner();
            (answer.status() == ServingStatus::Serving).then_some(answer)
        });
        assert_eq!(answer.await.status(), ServingStatus::Serving);
    }
    let unknown = health.check(HealthCheckRequest { service: "nobody".into() }).await;
    assert_eq!(unknown.expect_err("a refusal").code(), Code::NotFound);

    let (there, away) = (world.path("auth.db"), world.path("away"));
    for (from, to, status) in
        [(&there, &away, ServingStatus::NotServing), (&away, &there, ServingStatus::Serving)]
    {
        std::fs::rename(from, to).unwrap();
        tests::until("the truth about the database", async || {
            let mut health = HealthClient::new(world.grpc().channel());
            let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
            (answer.status() == status).then_some(())
        })
        .await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_describes_itself_only_when_it_is_configured_to() {
    let (closed, open) = (World::new().await, World::with(&[("AUTH_GRPC_REFLECTION", "true")]).await);
    let ask = async |world: &World| {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new(world.grpc().channel());
        let mut answers = client.server_reflection_info(tokio_stream_of(request)).await?.into_inner();
        answers.message().await
    };
    assert_eq!(ask(&closed).await.expect_err("a refusal").code(), Code::Unimplemented);
    let answer = ask(&open).await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for service in ["auth.v1.Introspection", "grpc.health.v1.Health"] {
        assert!(names.contains(&service), "{names:?}");
    }
    closed.stop().await;
    open.stop().await;
}

/// A stream with one message, as the client requires.
fn tokio_stream_of<T: Send + 'static>(message: T) -> impl tonic::codegen::tokio_stream::Stream<Item = T> {
    tonic::codegen::tokio_stream::once(message)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_before_the_message_comes() {
    let world = World::of_auth_alone(&[]).await;
    let stranger = ("billing", "a-wrong-secret-a-wrong-secret-0123456789");
    for grpc in [world.grpc(), world.grpc().basic(stranger.0, stranger.1), world.grpc().basic(MUTE.0, MUTE.1)]
    {
        let mut client = tonic::client::Grpc::new(grpc.channel());
        client.ready().await.unwrap();
        // The message never comes.
        let message = futures_util::stream::pending::<IntrospectRequest>();
        let codec = tonic_prost::ProstCodec::<IntrospectRequest, IntrospectResponse>::default();
        let path = "/auth.v1.Introspection/Introspect".parse().unwrap();
        let call = client.client_streaming(grpc.request(message), path, codec);
        let refused = tokio::time::timeout(PATIENCE, call).await.expect("an answer").unwrap_err();
        assert!(matches!(refused.code(), Code::Unauthenticated | Code::PermissionDenied), "{refused:?}");
    }
    world.stop().await;
}
