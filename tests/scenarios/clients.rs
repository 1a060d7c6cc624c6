//! Clients and audiences: an operator registers them, with secrets that rotate or with keys that sign assertions.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use countermark::issuer::service_token::{
    ClientKey, InvalidKey, ServiceTokenConfig, ServiceTokenError, ServiceTokens,
};
use serde_json::{Value, json};
use tests::{
    Answer, Http, World,
    forge::{with, without},
    grpc::Grpc,
    jws::{CurveKey, OTHER, THIEF, payload},
    operator::{json_of, run, world_of_today},
    until,
    world::{AUDIENCE, BILLING, ISSUER, MUTE},
};
use tokio_util::sync::CancellationToken;

async fn token(world: &World, client: (&str, &str)) -> Answer {
    let form = [("grant_type", "client_credentials")];
    world.auth().post("/oauth/token").basic(client).form(&form).await
}

const ADD: [&str; 9] = [
    "client",
    "add",
    "reports",
    "--grant",
    "client_credentials",
    "--scope",
    "documents:read",
    "--audience",
    AUDIENCE,
];

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_registers_a_client_and_its_secret_is_shown_once() {
    let world = world_of_today(&[]).await;
    let added = json_of(&world, &ADD).await;
    let secret = added["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 3 + 43, "256 bits, and what it is");
    let answer = until("the service knows the client", async || {
        let answer = token(&world, ("reports", secret)).await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!(payload(answer.is(200)["access_token"].as_str().unwrap())["scope"], "documents:read");

    let (code, _, error) = run(&world, &ADD).await;
    assert_eq!((code, error.trim()), (1, "there is a client of that id"));
    for (arguments, what) in [
        (&["client", "add", "a b"][..], "is not a client id"),
        (&["client", "add", "x", "--scope", "nothing:known"], "no audience owns the scope nothing:known"),
        (&["client", "add", "x", "--audience", "nowhere"], "there is no audience nowhere"),
        (&["client", "add", "x", "--grant", "password"], "is none of client_credentials"),
        (&["client", "show", "nobody"], "there is no such client"),
        (&["audience", "add", "x", "--scope", "introspect"], "belongs to the issuer"),
        (&["audience", "add", "x", "--scope", "documents:read"], "belongs to another audience"),
    ] {
        let (code, _, error) = run(&world, arguments).await;
        assert!(code == 1 && error.contains(what), "{arguments:?}: {code} {error}");
    }
    let (_, table, _) = run(&world, &["client", "list"]).await;
    assert!(table.starts_with("ID ") && table.contains("reports") && table.contains(BILLING.0), "{table}");
    assert!(!table.contains(secret), "{table}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_symmetric_or_weak_key_is_never_registered() {
    let mut world = world_of_today(&[]).await;
    let roca: Value = serde_json::from_str(include_str!("../fixtures/roca_keys.json")).unwrap();
    let key = |members: &[(&str, Value)]| with(&THIEF.jwk(), members);
    let mut refused: Vec<(Value, String)> = ["d", "p", "q", "dp", "dq", "qi", "oth", "priv"]
        .map(|member| (key(&[(member, json!("c2VjcmV0"))]), format!("private member \"{member}\"")))
        .to_vec();
    for (jwk, what) in [
        (json!({"kty": "oct", "k": "c2VjcmV0"}), "member \"k\""),
        (json!({"kty": "oct"}), "kty \"oct\""),
        (key(&[("k", json!("c2VjcmV0"))]), "member \"k\""),
        (key(&[("e", json!("Aw"))]), "can't be used"),
        (key(&[("n", json!("AQAB"))]), "can't be used"),
        (roca["vectors"][0]["jwk"].clone(), "ROCA"),
        (key(&[("use", json!("enc"))]), "no key that can be used"),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), "no key that can be used"),
    ] {
        refused.push((jwk, what.to_owned()));
    }
    let file = world.path("keys.json");
    let mut add = ADD.to_vec();
    add.extend(["--jwks-file", file.to_str().unwrap()]);
    for (jwk, what) in &refused {
        std::fs::write(&file, json!({"keys": [jwk]}).to_string()).unwrap();
        let (code, _, error) = run(&world, &add).await;
        assert!(code == 1 && error.contains(what), "{jwk}: {code} {error}");
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }
    std::fs::write(&file, r#"{"keys":[]}"#).unwrap();
    let (code, _, error) = run(&world, &add).await;
    assert!(code == 1 && error.contains("no key that can be used"), "{code} {error}");

    // The bootstrap file follows the same rule. What is beside the public members is not stored.
    let noted = key(&[("note", json!("c2VjcmV0")), ("x5c", json!(["c2VjcmV0"]))]);
    std::fs::write(&file, json!({"keys": [noted], "note": "c2VjcmV0"}).to_string()).unwrap();
    json_of(&world, &add).await;
    let bootstrap = world.path("keys.toml");
    std::fs::write(&bootstrap, "[[clients]]\nid = \"x\"\njwks_file = \"keys.json\"\n").unwrap();
    std::fs::write(&file, json!({"keys": [refused[0].0]}).to_string()).unwrap();
    world.stop_auth().await;
    world.set("AUTH_BOOTSTRAP_FILE", bootstrap.to_str().unwrap());
    let error = world.start_auth().await.unwrap_err();
    assert_eq!(error.code(), 64);
    assert!(error.to_string().contains("private member \"d\""), "{error}");
    for name in std::fs::read_dir(world.folder()).unwrap().map(|entry| entry.unwrap().path()) {
        if name.is_file() && name != file {
            let stored = std::fs::read(&name).unwrap();
            assert!(!stored.windows(8).any(|bytes| bytes == b"c2VjcmV0"), "{name:?}");
        }
    }
    world.halt().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_is_registered_with_its_scopes_and_a_login_grants_the_default_ones() {
    let world = world_of_today(&[("AUTH_AUDIENCE", "resource-service,ledger")]).await;
    let add = ["audience", "add", "ledger", "--scope", "ledger:close", "--default-scope", "ledger:read"];
    json_of(&world, &add).await;
    let claims = until("the service knows the audience", async || {
        let claims = world.login().await.claims();
        claims["scope"].as_str().unwrap().contains("ledger").then_some(claims)
    })
    .await;
    assert_eq!(claims["scope"], "documents:read documents:write ledger:read");
    let audiences = json_of(&world, &["audience", "list"]).await;
    let ledger = audiences.as_array().unwrap().iter().find(|audience| audience["id"] == "ledger").unwrap();
    assert_eq!(ledger["scopes"], json!(["ledger:close", "ledger:read"]));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_client_is_out_at_once_and_its_tokens_with_it() {
    let world = world_of_today(&[]).await;
    let before = token(&world, BILLING).await.is(200)["access_token"].as_str().unwrap().to_owned();
    json_of(&world, &["client", "disable", BILLING.0]).await;
    until("the service knows", async || (token(&world, BILLING).await.status == 401).then_some(())).await;
    json_of(&world, &["client", "enable", BILLING.0]).await;
    until("the service knows", async || (token(&world, BILLING).await.status == 200).then_some(())).await;
    assert!(!world.introspect(&before).await.active, "what was revoked stays revoked");
    world.stop().await;
}

/// Calls every interface that takes a client's secret, repeatedly and with the current secret, until `stop`. Counts the
/// rounds.
async fn call(
    current: Arc<Mutex<String>>,
    rounds: Arc<AtomicUsize>,
    stop: CancellationToken,
    (auth, grpc): (Http, Grpc),
    token: String,
) {
    while !stop.is_cancelled() {
        let secret = current.lock().unwrap().clone();
        let client = ("reports", &*secret);
        let ask = auth.post("/oauth/token").basic(client);
        ask.form(&[("grant_type", "client_credentials")]).await.is(200);
        let ask = auth.post("/oauth/introspect").basic(client).form(&[("token", &token)]);
        assert_eq!(ask.await.is(200)["active"], true);
        let answer = grpc.basic(client.0, client.1).introspect(&token).await;
        assert!(answer.expect("an answer").active);
        rounds.fetch_add(1, SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_rotated_under_load_without_a_failed_call() {
    let world = world_of_today(&[]).await;
    let add = [&ADD[..], &["--scope", "introspect"]].concat();
    let old = json_of(&world, &add).await["secret"].as_str().unwrap().to_owned();
    until("the service knows", async || (token(&world, ("reports", &old)).await.status == 200).then_some(()))
        .await;
    let user = world.login().await.access;
    let current = Arc::new(Mutex::new(old.clone()));
    let stop = CancellationToken::new();
    let rounds: Vec<_> = (0..4).map(|_| Arc::new(AtomicUsize::new(0))).collect();
    let callers: Vec<_> = rounds
        .iter()
        .map(|rounds| {
            let ports = (world.auth().clone(), world.grpc());
            tokio::spawn(call(current.clone(), rounds.clone(), stop.clone(), ports, user.clone()))
        })
        .collect();
    let (mut previous, mut newest) = (old.clone(), old.clone());
    for _ in 0..3 {
        previous.clone_from(&newest);
        newest = json_of(&world, &["client", "rotate-secret", "reports"]).await["secret"]
            .as_str()
            .unwrap()
            .to_owned();
        // Callers switch when the service knows the new secret. Until all have switched, both secrets work.
        until("the service knows", async || {
            (token(&world, ("reports", &newest)).await.status == 200).then_some(())
        })
        .await;
        current.lock().unwrap().clone_from(&newest);
        assert_eq!(json_of(&world, &["client", "show", "reports"]).await[0]["secrets"], 2);
        // All callers have switched when each has finished its current round and one more.
        let before: Vec<_> = rounds.iter().map(|rounds| rounds.load(SeqCst)).collect();
        until("all callers have moved over", async || {
            assert!(callers.iter().all(|caller| !caller.is_finished()), "no failed call");
            let mut now = rounds.iter().zip(&before);
            now.all(|(rounds, before)| rounds.load(SeqCst) >= before + 2).then_some(())
        })
        .await;
    }
    stop.cancel();
    for caller in callers {
        caller.await.expect("no failed call");
    }
    json_of(&world, &["client", "rotate-secret", "reports", "--finish"]).await;
    until("the old one is refused", async || {
        (token(&world, ("reports", &previous)).await.status == 401).then_some(())
    })
    .await;
    assert_eq!(json_of(&world, &["client", "show", "reports"]).await[0]["secrets"], 1);
    token(&world, ("reports", &newest)).await.is(200);
    token(&world, ("reports", &old)).await.refuses_as_oauth(401, "invalid_client");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_outlives_a_restart_until_the_bootstrap_file_says_another() {
    let mut world = world_of_today(&[]).await;
    let rotate = ["client", "rotate-secret", BILLING.0];
    let newest = json_of(&world, &rotate).await["secret"].as_str().unwrap().to_owned();
    json_of(&world, &["client", "rotate-secret", BILLING.0, "--finish"]).await;
    world.restart().await;
    token(&world, (BILLING.0, &newest)).await.is(200);
    token(&world, BILLING).await.refuses_as_oauth(401, "invalid_client");

    let file = world.path("bootstrap.toml");
    let declared = "another-secret-another-secret-another-secret";
    let text = std::fs::read_to_string(&file).unwrap().replace(BILLING.1, declared);
    std::fs::write(&file, text).unwrap();
    world.restart().await;
    token(&world, (BILLING.0, declared)).await.is(200);
    token(&world, (BILLING.0, &newest)).await.refuses_as_oauth(401, "invalid_client");
    world.stop().await;
}

/// The claims that a client would sign at this time.
fn claims(world: &World) -> Value {
    use countermark::clock::Clock as _;
    let now = world.clock.now().unix_seconds();
    json!({"iss": "signer", "sub": "signer", "aud": ISSUER, "exp": now + 60, "iat": now, "jti": format!("{now}-1")})
}

async fn with_assertion(world: &World, assertion: &str) -> Answer {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
    ];
    world.auth().post("/oauth/token").form(&form).await
}

/// A world with two clients that sign: one with an RSA key, one with an elliptic-curve key.
async fn world_of_signers() -> (World, CurveKey) {
    let world = world_of_today(&[]).await;
    let curve = CurveKey::generate();
    for (id, jwk) in [("curved", curve.jwk()), ("signer", THIEF.jwk())] {
        let file = world.path(&format!("{id}.json"));
        std::fs::write(&file, json!({"keys": [jwk]}).to_string()).unwrap();
        let mut add = ADD.to_vec();
        add[2] = id;
        add.extend(["--jwks-file", file.to_str().unwrap()]);
        let added = json_of(&world, &add).await;
        assert_eq!(added.get("secret"), None, "who signs has no secret");
    }
    until("the service knows the clients", async || {
        let assertion =
            THIEF.token(&json!({"alg": "RS256"}), &with(&claims(&world), &[("jti", json!("first"))]));
        (with_assertion(&world, &assertion).await.status == 200).then_some(())
    })
    .await;
    (world, curve)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_signs_gets_a_token_for_each_assertion_once() {
    let (world, curve) = world_of_signers().await;
    let header = json!({"alg": "RS256", "typ": "JWT"});
    let assertion = THIEF.token(&header, &claims(&world));
    let answer = with_assertion(&world, &assertion).await.is(200);
    assert_eq!(payload(answer["access_token"].as_str().unwrap())["sub"], "signer");
    with_assertion(&world, &assertion).await.refuses_as_oauth(401, "invalid_client");
    // The token endpoint is a valid audience too, and so is an array with one entry.
    let endpoint = json!(format!("{ISSUER}/oauth/token"));
    for (jti, aud) in [("2", endpoint), ("3", json!([ISSUER]))] {
        let claims = with(&claims(&world), &[("jti", json!(jti)), ("aud", aud)]);
        with_assertion(&world, &THIEF.token(&header, &claims)).await.is(200);
    }
    let curved = with(&claims(&world), &[("iss", json!("curved")), ("sub", json!("curved"))]);
    with_assertion(&world, &curve.token(&curved)).await.is(200);
    // A spent assertion stays spent after a restart.
    let mut world = world;
    world.restart().await;
    with_assertion(&world, &assertion).await.refuses_as_oauth(401, "invalid_client");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_source_signs_an_assertion_for_each_fetch() {
    let (world, curve) = world_of_signers().await;
    for (id, pem) in [("signer", THIEF.private_pem()), ("curved", curve.private_pem())] {
        let clock: Arc<dyn countermark::clock::Clock> = Arc::new(world.clock.clone());
        let key = ClientKey::from_pem(&pem).unwrap();
        let config = ServiceTokenConfig::signing(ISSUER, id, key)
            .reached_at(format!("http://{}", world.auth().address))
            .with_clock(clock);
        assert!(!format!("{config:?}").contains(&pem[40..60]), "no key is shown");
        let tokens = ServiceTokens::new(config).unwrap();
        let first = tokens.token().await.unwrap();
        assert_eq!(payload(first.expose())["sub"], id);
        // Each fetch uses an assertion of its own, because a repeated one is refused.
        world.pass(std::time::Duration::from_secs(1_000));
        let second = tokens.token().await.unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
    }
    let another =
        ServiceTokenConfig::signing(ISSUER, "curved", ClientKey::from_pem(&OTHER.private_pem()).unwrap())
            .reached_at(format!("http://{}", world.auth().address));
    let refused = ServiceTokens::new(another).unwrap().token().await.unwrap_err();
    assert_eq!(refused, ServiceTokenError::Unauthenticated);
    for pem in ["", "x", &curve.private_pem()[..100], &curve.private_pem().replace("PRIVATE", "PUBLIC")] {
        assert_eq!(ClientKey::from_pem(pem).err(), Some(InvalidKey), "{pem}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_is_verified_strictly() {
    let (world, _) = world_of_signers().await;
    let good = claims(&world);
    let now = good["iat"].as_i64().unwrap();
    let header = json!({"alg": "RS256"});
    let mut number = 0;
    let mut refused = async |what: &str, header: &Value, claims: &Value, key: &tests::jws::RsaKey| {
        number += 1;
        // Each assertion has its own `jti`, unless the `jti` is the fault.
        let claims = if claims.get("jti") == good.get("jti") {
            with(claims, &[("jti", json!(format!("bad-{number}")))])
        } else {
            claims.clone()
        };
        let answer = with_assertion(&world, &key.token(header, &claims)).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]),
            (401, &json!("invalid_client")),
            "{what}: {answer:?}"
        );
    };
    refused("another key", &header, &good, &OTHER).await;
    refused("another key under this kid", &json!({"alg": "RS256", "kid": "x"}), &good, &THIEF).await;
    for (what, bad) in [
        ("none", json!({"alg": "none"})),
        ("HS256", json!({"alg": "HS256"})),
        ("RS512", json!({"alg": "RS512"})),
        ("ES256 with an RSA key", json!({"alg": "ES256"})),
        ("an access token", json!({"alg": "RS256", "typ": "at+jwt"})),
        ("crit", json!({"alg": "RS256", "crit": ["x"]})),
        ("b64", json!({"alg": "RS256", "b64": false})),
    ] {
        refused(what, &bad, &good, &THIEF).await;
    }
    for (what, name, value) in [
        ("another subject", "sub", json!("billing")),
        ("another issuer", "iss", json!("billing")),
        ("nobody", "iss", json!("nobody")),
        ("another audience", "aud", json!("http://elsewhere.test")),
        ("a slash more", "aud", json!(format!("{ISSUER}/"))),
        ("two audiences", "aud", json!([ISSUER, "http://elsewhere.test"])),
        ("no audience", "aud", json!([])),
        ("expired", "exp", json!(now)),
        ("for years", "exp", json!(now + 3_600 * 24)),
        ("expiry as text", "exp", json!((now + 60).to_string())),
        ("not yet", "nbf", json!(now + 3_600)),
        ("minted ahead", "iat", json!(now + 3_600)),
        ("empty jti", "jti", json!("")),
        ("long jti", "jti", json!("x".repeat(256))),
    ] {
        refused(what, &header, &with(&good, &[(name, value)]), &THIEF).await;
    }
    for name in ["iss", "sub", "aud", "exp", "jti"] {
        refused(name, &header, &without(&good, name), &THIEF).await;
    }
    for text in ["", "x", "a.b.c", "a.b", &"x".repeat(9_000)] {
        let status = with_assertion(&world, text).await.status;
        assert_eq!(status, 401, "{text}");
    }
    // A client with a secret has no registered key.
    let billing = with(&good, &[("iss", json!(BILLING.0)), ("sub", json!(BILLING.0))]);
    refused("no keys", &header, &billing, &THIEF).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_removed_is_out_at_once_and_its_tokens_with_it() {
    let world = world_of_today(&[]).await;
    let form = [("grant_type", "client_credentials"), ("scope", "documents:read")];
    let token = world.auth().post("/oauth/token").basic(MUTE).form(&form).await.is(200);
    let token = token["access_token"].as_str().unwrap().to_owned();
    assert!(world.introspect(token.as_str()).await.active);
    let said = json_of(&world, &["client", "remove", MUTE.0, "--wait"]).await;
    assert_eq!((&said["removed"], &said["complete"]), (&json!(true), &json!(true)), "{said}");
    assert_eq!(world.protected(&token).await.status, 401, "the verifier has confirmed");
    assert!(!world.introspect(token.as_str()).await.active);
    let refused = world.auth().post("/oauth/token").basic(MUTE).form(&form).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    for name in [MUTE.0, "nobody", "first-party", ""] {
        let (code, output, error) = run(&world, &["client", "remove", name]).await;
        assert!(code != 0 && output.is_empty() && !error.is_empty(), "{name:?}: {error}");
    }
    let audit = json_of(&world, &["audit"]).await.to_string();
    assert!(audit.contains("client_removed"), "{audit}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_is_removed_when_nobody_names_it() {
    let world = world_of_today(&[]).await;
    let refused = async |id: &str, says: &str| {
        let (code, _, error) = run(&world, &["audience", "remove", id]).await;
        assert!(code == 1 && error.contains(says), "{id}: {error}");
    };
    refused("resource-service", "AUTH_AUDIENCE").await;
    refused("archive", "still named").await;
    refused("nobody", "no such audience").await;
    json_of(&world, &["audience", "add", "short-lived", "--scope", "short:read"]).await;
    for id in ["uses-it", "uses-it-too"] {
        let client = ["client", "add", id, "--grant", "client_credentials", "--scope", "short:read"];
        json_of(&world, &client).await;
    }
    refused("short-lived", "by: uses-it, uses-it-too;").await;
    json_of(&world, &["client", "remove", "uses-it"]).await;
    refused("short-lived", "by: uses-it-too;").await;
    json_of(&world, &["client", "remove", "uses-it-too"]).await;
    json_of(&world, &["audience", "remove", "short-lived"]).await;
    let listed = json_of(&world, &["audience", "list"]).await.to_string();
    assert!(!listed.contains("short-lived") && listed.contains("archive"), "{listed}");
    // Its scopes are free for another.
    json_of(&world, &["audience", "add", "another", "--scope", "short:read"]).await;
    world.stop().await;
}
