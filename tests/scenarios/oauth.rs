//! The OAuth endpoints: tokens for programs, introspection and revocation.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{
    Answer, World,
    jws::payload,
    world::{AUDIENCE, BEGINNING, BILLING, ISSUER, MUTE, PLAIN, RESOURCE, STRANGER},
};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

async fn token(world: &World, client: (&str, &str), form: &[(&str, &str)]) -> Answer {
    world.auth().post("/oauth/token").basic(client).form(form).await
}

async fn service_token(world: &World, client: (&str, &str), form: &[(&str, &str)]) -> String {
    let form = [&[("grant_type", "client_credentials")], form].concat();
    token(world, client, &form).await.is(200)["access_token"].as_str().unwrap().to_owned()
}

async fn introspect(world: &World, client: (&str, &str), token: &str) -> Value {
    world.auth().post("/oauth/introspect").basic(client).form(&[("token", token)]).await.is(200)
}

async fn exchange(world: &World, subject: &str, form: &[(&str, &str)]) -> Answer {
    let own = [("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", ACCESS_TOKEN)];
    token(world, RESOURCE, &[&own, form].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_a_token_of_its_own() {
    let world = World::new().await;
    let answer = token(&world, BILLING, &[("grant_type", "client_credentials")]).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.is(200);
    let members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["access_token", "expires_in", "scope", "token_type"], "no refresh token");
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(900)));
    let access = body["access_token"].as_str().unwrap();
    let mut claims = payload(access);
    claims.as_object_mut().unwrap().remove("jti").expect("a jti");
    assert_eq!(
        claims,
        json!({
            "iss": ISSUER, "sub": BILLING.0, "aud": AUDIENCE, "client_id": BILLING.0, "scope": "documents:read",
            "iat": BEGINNING, "exp": BEGINNING + 900,
        })
    );
    assert_eq!(world.protected(access).await.is(200), json!({"logged_in_as": BILLING.0}));
    let me = world.auth().get("/me").bearer(access).await;
    me.refuses(403, "insufficient_scope", "A user's token is needed here");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_shows_itself_in_one_of_three_ways() {
    let world = World::new().await;
    let post = async |form: &[(&str, &str)]| {
        let form = [&[("grant_type", "client_credentials")], form].concat();
        world.auth().post("/oauth/token").form(&form).await
    };
    post(&[("client_id", BILLING.0), ("client_secret", BILLING.1)]).await.is(200);
    // Some libraries repeat the client id beside the header.
    let own = [("grant_type", "client_credentials"), ("client_id", BILLING.0)];
    token(&world, BILLING, &own).await.is(200);
    for (form, status, error) in [
        (&[][..], 401, "invalid_client"),
        (&[("client_id", BILLING.0)], 401, "invalid_client"),
        (&[("client_id", "first-party")], 400, "unauthorized_client"),
        (&[("client_secret", BILLING.1)], 400, "invalid_request"),
        (&[("client_id", BILLING.0), ("client_secret", MUTE.1)], 401, "invalid_client"),
        (&[("client_id", "nobody"), ("client_secret", MUTE.1)], 401, "invalid_client"),
        (&[("client_assertion", "x")], 400, "invalid_request"),
    ] {
        post(form).await.refuses_as_oauth(status, error);
    }
    let twice =
        [("grant_type", "client_credentials"), ("client_id", BILLING.0), ("client_secret", BILLING.1)];
    token(&world, BILLING, &twice).await.refuses_as_oauth(400, "invalid_request");
    let other = [("grant_type", "client_credentials"), ("client_id", MUTE.0)];
    token(&world, BILLING, &other).await.refuses_as_oauth(401, "invalid_client");
    let unreadable = world.auth().post("/oauth/token").header("authorization", "Basic !!!").form(&own).await;
    unreadable.refuses_as_oauth(401, "invalid_client");
    // A known and an unknown client get the same answer.
    let known = token(&world, (BILLING.0, MUTE.1), &own[..1]).await;
    let unknown = token(&world, ("nobody", MUTE.1), &own[..1]).await;
    assert_eq!((known.text(), known.status), (unknown.text(), unknown.status));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_narrows_and_never_widens() {
    let world = World::new().await;
    let claims = async |form: &[(&str, &str)]| payload(&service_token(&world, RESOURCE, form).await);
    let all = claims(&[]).await;
    assert_eq!(all["scope"], "documents:read archive:read");
    assert_eq!(all["aud"], json!(["resource-service", "archive"]));
    assert_eq!(all["roles"], json!(["service"]));
    let one = claims(&[("scope", "archive:read")]).await;
    assert_eq!((&one["scope"], &one["aud"]), (&json!("archive:read"), &json!("archive")));
    let one = claims(&[("resource", "resource-service")]).await;
    assert_eq!((&one["scope"], &one["aud"]), (&json!("documents:read"), &json!("resource-service")));
    let bare = claims(&[("resource", "bare")]).await;
    assert_eq!((bare.get("scope"), &bare["aud"]), (None, &json!("bare")));
    let both = claims(&[("resource", "bare"), ("resource", "archive")]).await;
    assert_eq!((&both["scope"], &both["aud"]), (&json!("archive:read"), &json!(["bare", "archive"])));

    for (form, error) in [
        (&[("scope", "documents:write")][..], "invalid_scope"),
        (&[("scope", "archive:purge")], "invalid_scope"),
        (&[("scope", "documents:read  archive:read")], "invalid_scope"),
        (&[("scope", "documents:read"), ("resource", "archive")], "invalid_scope"),
        (&[("resource", "nowhere")], "invalid_target"),
    ] {
        let form = [&[("grant_type", "client_credentials")], form].concat();
        token(&world, RESOURCE, &form).await.refuses_as_oauth(400, error);
    }
    for (named, error) in
        [(("scope", "introspect"), "invalid_scope"), (("resource", ISSUER), "invalid_target")]
    {
        let form = [("grant_type", "client_credentials"), named];
        token(&world, MUTE, &form).await.refuses_as_oauth(400, error);
    }
    // The built-in scope is granted only when it is requested by name. The issuer owns it.
    let introspecting = payload(&service_token(&world, BILLING, &[("scope", "introspect")]).await);
    assert_eq!((&introspecting["scope"], &introspecting["aud"]), (&json!("introspect"), &json!(ISSUER)));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_narrows_in_every_grant_or_is_an_error() {
    let world = World::with(&[("AUTH_AUDIENCE", "resource-service,archive")]).await;
    let user = world.login().await;
    let refresh = async |more: &[(&str, &str)]| {
        let token = world.login().await.refresh;
        let own = [("grant_type", "refresh_token"), ("client_id", "first-party"), ("refresh_token", &token)];
        world.auth().post("/oauth/token").form(&[&own, more].concat()).await
    };
    let own = [("grant_type", "client_credentials")];
    let each = async |more: &[(&str, &str)]| {
        [
            token(&world, RESOURCE, &[&own, more].concat()).await,
            refresh(more).await,
            exchange(&world, &user.access, more).await,
        ]
    };
    let kind = ("requested_token_type", ACCESS_TOKEN);
    for (more, aud) in [
        (&[("audience", "resource-service")][..], json!("resource-service")),
        (&[("resource", "resource-service")], json!("resource-service")),
        (&[("audience", "resource-service"), kind], json!("resource-service")),
        (&[("audience", "resource-service"), ("resource", "resource-service")], json!("resource-service")),
        (&[("audience", ""), ("audience", "resource-service")], json!("resource-service")),
        (&[("audience", "resource-service"), ("scope", "documents:read")], json!("resource-service")),
    ] {
        for answer in each(more).await {
            let claims = payload(answer.is(200)["access_token"].as_str().unwrap());
            assert_eq!(claims["aud"], aud, "{more:?}");
            assert!(!claims["scope"].as_str().unwrap().contains("archive"), "{more:?}");
        }
    }
    for (more, error) in [
        (&[("audience", "nowhere")][..], "invalid_target"),
        (&[("audience", "Resource-Service")], "invalid_target"),
        (&[("audience", " resource-service")], "invalid_target"),
        (&[("audience", "resource-service/")], "invalid_target"),
        (&[("audience", "resource-service archive")], "invalid_target"),
        (&[("audience", "resource-service,archive")], "invalid_target"),
        (&[("audience", "https://api.example.com")], "invalid_target"),
        (&[("audience", "resource-service"), ("audience", "nowhere")], "invalid_target"),
        (&[("resource", "resource-service"), ("audience", "nowhere")], "invalid_target"),
        (&[("resource", "nowhere"), ("audience", "resource-service")], "invalid_target"),
        (&[("audience", "archive"), ("scope", "documents:read")], "invalid_scope"),
        (&[("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")], "invalid_request"),
        (&[("requested_token_type", "urn:ietf:params:oauth:token-type:id_token")], "invalid_request"),
        (&[("requested_token_type", "access_token")], "invalid_request"),
        (
            &[("requested_token_type", ACCESS_TOKEN), ("requested_token_type", ACCESS_TOKEN)],
            "invalid_request",
        ),
        (&[("authorization_details", "[]")], "invalid_request"),
        (&[("actor_token", "x")], "invalid_request"),
    ] {
        for answer in each(more).await {
            answer.refuses_as_oauth(400, error);
        }
    }
    for more in
        [("subject_token", "x"), ("subject_token_type", ACCESS_TOKEN), ("actor_token_type", ACCESS_TOKEN)]
    {
        token(&world, RESOURCE, &[&own[..], &[more]].concat()).await.refuses_as_oauth(400, "invalid_request");
        refresh(&[more]).await.refuses_as_oauth(400, "invalid_request");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_read_strictly() {
    let world = World::new().await;
    let url = "/oauth/token";
    let refused = async |body: &str, error: &str| {
        let ask =
            world.auth().post(url).basic(BILLING).body("application/x-www-form-urlencoded", body.to_owned());
        ask.await.refuses_as_oauth(400, error);
    };
    refused("", "invalid_request").await;
    refused("grant_type=", "invalid_request").await;
    refused("grant_type=client_credentials&grant_type=client_credentials", "invalid_request").await;
    refused("grant_type=client_credentials&x=1&x=2", "invalid_request").await;
    refused("grant_type=password&username=a&password=b", "unsupported_grant_type").await;
    refused("grant_type=authorization_code&code=a", "unsupported_grant_type").await;
    refused("grant_type=refresh_token&refresh_token=x", "unauthorized_client").await;
    let json = world.auth().post(url).basic(BILLING).json(&json!({"grant_type": "client_credentials"})).await;
    json.refuses_as_oauth(400, "invalid_request");
    let large = "x".repeat(17_000);
    let large = world.auth().post(url).basic(BILLING).form(&[("grant_type", large.as_str())]).await;
    large.refuses_as_oauth(413, "payload_too_large");
    // Unknown parameters are ignored, and empty ones count as absent.
    let odd = [("grant_type", "client_credentials"), ("foo", "bar"), ("scope", "")];
    token(&world, BILLING, &odd).await.is(200);
    world.auth().get(url).await.refuses_as_oauth(405, "method_not_allowed");
    world.auth().post("/oauth/nothing").await.refuses_as_oauth(404, "not_found");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_works_at_the_token_endpoint_for_the_client_that_it_was_issued_to() {
    let world = World::with(&[("AUTH_AUDIENCE", "resource-service,archive")]).await;
    let first = world.login().await;
    let refresh = async |form: &[(&str, &str)]| {
        let own = [("grant_type", "refresh_token"), ("client_id", "first-party")];
        world.auth().post("/oauth/token").form(&[&own, form].concat()).await
    };
    let second = refresh(&[("refresh_token", &first.refresh)]).await;
    let second = tests::world::Tokens::of(&second);
    assert_eq!(second.answer["scope"], first.answer["scope"]);
    // Both endpoints return the same successor.
    assert_eq!(world.refresh(&first.refresh).await.refresh, second.refresh);
    // A narrower scope applies to this token only.
    let narrow = [("refresh_token", &*second.refresh), ("scope", "archive:read")];
    let third = tests::world::Tokens::of(&refresh(&narrow).await);
    let claims = third.claims();
    assert_eq!((&claims["scope"], &claims["aud"]), (&json!("archive:read"), &json!("archive")));
    // A wider scope is refused, and the request spends nothing.
    for (name, value, error) in
        [("scope", "archive:purge", "invalid_scope"), ("resource", "bare", "invalid_target")]
    {
        refresh(&[("refresh_token", &*third.refresh), (name, value)]).await.refuses_as_oauth(400, error);
    }
    let fourth = tests::world::Tokens::of(&refresh(&[("refresh_token", &*third.refresh)]).await);
    assert_eq!(fourth.claims()["scope"], first.claims()["scope"]);
    refresh(&[("refresh_token", &*first.refresh)]).await.refuses_as_oauth(400, "invalid_grant");
    world.try_refresh(&fourth.refresh).await.refuses(
        401,
        "invalid_grant",
        "The refresh token is not accepted; log in",
    );
    for garbage in ["rt_x", "x"] {
        refresh(&[("refresh_token", garbage)]).await.refuses_as_oauth(400, "invalid_grant");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_calls_another_on_a_users_behalf() {
    let world = World::with(&[("AUTH_AUDIENCE", "resource-service,archive,bare")]).await;
    let user = world.login_as(PLAIN).await;
    world.pass(Duration::from_secs(60));
    let answer = exchange(&world, &user.access, &[("resource", "archive")]).await.is(200);
    assert_eq!(answer["issued_token_type"], ACCESS_TOKEN);
    assert_eq!(answer.get("refresh_token"), None);
    let access = answer["access_token"].as_str().unwrap();
    let (claims, subject) = (payload(access), user.claims());
    for kept in ["iss", "sub", "sid", "email", "auth_time", "amr"] {
        assert_eq!(claims[kept], subject[kept], "{kept}");
    }
    assert_eq!((&claims["aud"], &claims["scope"]), (&json!("archive"), &json!("archive:read")));
    assert_eq!((&claims["act"], &claims["client_id"]), (&json!({"sub": RESOURCE.0}), &json!(RESOURCE.0)));
    assert_eq!(claims["exp"], subject["exp"], "no longer than the subject token");
    assert_eq!(claims["iat"], json!(BEGINNING + 60));
    assert_eq!((claims.get("fresh"), claims["jti"] == subject["jti"]), (None, false));
    // The token is active for callers in its audience, and dies with the user's session.
    assert_eq!(introspect(&world, STRANGER, access).await["active"], true);
    world.auth().post("/logout").bearer(&user.access).await.is(200);
    assert_eq!(introspect(&world, STRANGER, access).await, json!({"active": false}));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_is_for_who_is_in_the_audience_and_never_widens() {
    let world = World::with(&[("AUTH_AUDIENCE", "resource-service,archive")]).await;
    let user = world.login_as(PLAIN).await;
    for (form, error) in [
        (&[("scope", "documents:write")][..], "invalid_scope"),
        (&[("scope", "archive:purge")], "invalid_scope"),
        (&[("resource", "bare")], "invalid_target"),
        (&[("audience", "nowhere")], "invalid_target"),
        (&[("actor_token", "x")], "invalid_request"),
        (&[("requested_token_type", "urn:ietf:params:oauth:token-type:saml2")], "invalid_request"),
    ] {
        exchange(&world, &user.access, form).await.refuses_as_oauth(400, error);
    }
    // A chain of actors: the archive would be the second actor. Here the same service exchanges its own token.
    let first = exchange(&world, &user.access, &[("audience", "resource-service")]).await.is(200);
    let second = exchange(&world, first["access_token"].as_str().unwrap(), &[]).await.is(200);
    let claims = payload(second["access_token"].as_str().unwrap());
    assert_eq!(claims["act"], json!({"sub": RESOURCE.0, "act": {"sub": RESOURCE.0}}));
    exchange(&world, first["access_token"].as_str().unwrap(), &[("resource", "archive")])
        .await
        .refuses_as_oauth(400, "invalid_target");
    // The exchange is refused for a client outside the audience, and for a client that is not registered for it.
    let elsewhere = exchange(&world, &user.access, &[("resource", "archive")]).await.is(200);
    exchange(&world, elsewhere["access_token"].as_str().unwrap(), &[])
        .await
        .refuses_as_oauth(400, "invalid_request");
    let own =
        [("grant_type", EXCHANGE), ("subject_token", &*user.access), ("subject_token_type", ACCESS_TOKEN)];
    token(&world, BILLING, &own).await.refuses_as_oauth(400, "unauthorized_client");
    // The exchange of an expired token is refused.
    world.pass(Duration::from_mins(15));
    exchange(&world, &user.access, &[]).await.refuses_as_oauth(400, "invalid_request");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn introspection_tells_the_claims_of_a_live_token_to_who_may_know() {
    let world = World::new().await;
    let user = world.login().await;
    let mut expected = user.claims();
    expected["active"] = json!(true);
    expected["token_type"] = json!("Bearer");
    assert_eq!(introspect(&world, BILLING, &user.access).await, expected);
    let refreshed = world.refresh(&user.refresh).await;
    for (client, shown) in [
        (STRANGER, user.access.as_str()),
        (BILLING, "garbage"),
        (BILLING, &user.refresh),
        (BILLING, &refreshed.refresh),
        (BILLING, &"x".repeat(9_000)),
    ] {
        assert_eq!(introspect(&world, client, shown).await, json!({"active": false}));
    }
    world.pass(Duration::from_mins(15));
    assert_eq!(introspect(&world, BILLING, &user.access).await, json!({"active": false}));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn introspection_is_for_callers_that_authenticate_first() {
    let world = World::new().await;
    let user = world.login().await;
    let ask = || world.auth().post("/oauth/introspect");
    ask().form(&[("token", &user.access)]).await.refuses_as_oauth(401, "invalid_client");
    // The caller is authenticated before the request is parsed.
    ask().form(&[]).await.refuses_as_oauth(401, "invalid_client");
    ask()
        .basic((BILLING.0, MUTE.1))
        .form(&[("token", &user.access)])
        .await
        .refuses_as_oauth(401, "invalid_client");
    let public = [("client_id", "first-party"), ("token", &*user.access)];
    ask().form(&public).await.refuses_as_oauth(401, "invalid_client");
    ask().bearer(&user.access).form(&[("token", &user.access)]).await.refuses_as_oauth(401, "invalid_client");
    ask().basic(MUTE).form(&[("token", &user.access)]).await.refuses_as_oauth(403, "insufficient_scope");
    ask().basic(BILLING).form(&[]).await.refuses_as_oauth(400, "invalid_request");
    // A service token with the scope is sufficient.
    let service = service_token(&world, BILLING, &[("scope", "introspect")]).await;
    let answer = ask().bearer(&service).form(&[("token", &user.access)]).await;
    assert_eq!(answer.is(200)["active"], true);
    let without = service_token(&world, BILLING, &[]).await;
    ask().bearer(&without).form(&[("token", &user.access)]).await.refuses_as_oauth(401, "invalid_client");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_about_a_token_is_signed_when_that_is_asked_for() {
    let world = World::new().await;
    let user = world.login().await;
    let media_type = "application/token-introspection+jwt";
    let ask = world.auth().post("/oauth/introspect").basic(BILLING).header("accept", media_type);
    let answer = ask.form(&[("token", &user.access)]).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(media_type)));
    let claims = payload(answer.text());
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!(BILLING.0)));
    assert_eq!(claims["iat"], json!(BEGINNING));
    assert_eq!(claims["token_introspection"]["active"], true);
    assert_eq!(claims["token_introspection"]["sub"], user.claims()["sub"]);
    let header = tests::jws::header(answer.text());
    assert_eq!(header["typ"], "token-introspection+jwt");
    // The signed answer is not an access token.
    assert_eq!(world.protected(answer.text()).await.status, 401);
    let dead = world.auth().post("/oauth/introspect").basic(BILLING).header("accept", media_type);
    let dead = dead.form(&[("token", "garbage")]).await;
    assert_eq!(payload(dead.text())["token_introspection"], json!({"active": false}));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_revokes_its_own_tokens_and_no_others() {
    let world = World::new().await;
    let revoke = async |client: (&str, &str), token: &str| {
        let answer = world.auth().post("/oauth/revoke").basic(client).form(&[("token", token)]).await;
        assert_eq!((answer.status, answer.text()), (200, ""));
    };
    let by_public = async |token: &str| {
        let form = [("client_id", "first-party"), ("token", token), ("token_type_hint", "access_token")];
        assert_eq!(world.auth().post("/oauth/revoke").form(&form).await.status, 200);
    };
    let service = service_token(&world, BILLING, &[]).await;
    let user = world.login().await;
    for (client, token) in [
        (MUTE, &*service),
        (BILLING, &user.access),
        (BILLING, &user.refresh),
        (BILLING, "garbage"),
        (BILLING, "rt_x"),
    ] {
        revoke(client, token).await;
    }
    by_public(&service).await;
    assert_eq!(introspect(&world, BILLING, &service).await["active"], true);
    assert_eq!(introspect(&world, BILLING, &user.access).await["active"], true);

    revoke(BILLING, &service).await;
    revoke(BILLING, &service).await;
    assert_eq!(introspect(&world, BILLING, &service).await, json!({"active": false}));
    // The hint may be wrong (RFC 7009 §2.1), and an unknown hint is ignored.
    for hint in ["access_token", "refresh_token", "id_token"] {
        let hinted = service_token(&world, BILLING, &[]).await;
        let form = [("token", &*hinted), ("token_type_hint", hint)];
        world.auth().post("/oauth/revoke").basic(BILLING).form(&form).await;
        let asked = world.auth().post("/oauth/introspect").basic(BILLING).form(&form).await;
        assert_eq!(asked.is(200), json!({"active": false}), "{hint}");
    }
    // This revokes the access token only. The session continues.
    by_public(&user.access).await;
    assert_eq!(introspect(&world, BILLING, &user.access).await, json!({"active": false}));
    let next = world.refresh(&user.refresh).await;
    // This revokes the refresh token and its session.
    by_public(&next.refresh).await;
    assert_eq!(introspect(&world, BILLING, &next.access).await, json!({"active": false}));
    world.try_refresh(&next.refresh).await.refuses(
        401,
        "invalid_grant",
        "The refresh token is not accepted; log in",
    );
    let none = world.auth().post("/oauth/revoke").form(&[("token", &user.access)]).await;
    none.refuses_as_oauth(401, "invalid_client");
    let nothing = world.auth().post("/oauth/revoke").basic(BILLING).form(&[]).await;
    nothing.refuses_as_oauth(400, "invalid_request");
    world.stop().await;
}
