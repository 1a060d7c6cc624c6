//! The three ways to verify a token agree: the local verifier of a resource server, introspection over HTTP, and
//! introspection over gRPC. The test generates tokens: valid ones, and tokens with up to three of the faults in
//! SECURITY's first table.

use countermark::{
    clock::{Clock as _, Timestamp},
    verify::{AcceptedAudiences, Audience, Issuer, KeySet, NumericDate, Revocation, Revocations, Verifier},
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use tests::{
    Forge, World,
    effort::{effort, seed},
    forge::{raw_with, with, without},
    jws::{THIEF, b64, hmac, message, seal, segments},
    until,
    world::{AUDIENCE, BEGINNING, BILLING, ISSUER},
};

/// Number of tokens that are verified in one go.
const PORTION: usize = 1_000;

/// A change to a token. It may leave the token valid.
#[derive(Clone, Debug)]
enum Twist {
    Claim(&'static str, Value),
    NoClaim(&'static str),
    Header(&'static str, Value),
    NoHeader(&'static str),
    /// An additional member of the payload, appended unchanged.
    Member(&'static str),
    /// An additional member of the header, appended unchanged.
    HeaderMember(&'static str),
    Thief,
    Hmac,
    NoSignature,
    FlippedBit(usize),
    Cut(usize),
    Tail(&'static str),
    Head(&'static str),
    MoreSegments,
    StandardAlphabet,
    TooLong,
}

fn claim() -> impl Strategy<Value = Twist> {
    let dates = vec![
        json!(BEGINNING - 1),
        json!(BEGINNING),
        json!(BEGINNING + 1),
        json!(BEGINNING + 60),
        json!(BEGINNING + 61),
        json!(BEGINNING + 900),
        json!(1_800_000_000.5),
        json!(-1),
        json!(0),
        json!(1e300),
        json!("1800000900"),
        json!(true),
        json!(null),
        json!(u64::MAX),
    ];
    let texts = vec![
        json!(""),
        json!("x"),
        json!("x".repeat(255)),
        json!("x".repeat(256)),
        json!("revoked"),
        json!("é\u{0}\n"),
        json!(1),
        json!(null),
        json!(["revoked"]),
    ];
    let audiences = vec![
        json!(AUDIENCE),
        json!([AUDIENCE]),
        json!(["archive", AUDIENCE]),
        json!("archive"),
        json!("Resource-Service"),
        json!("resource-servic"),
        json!([]),
        json!(""),
        json!([1]),
        json!(null),
    ];
    let issuers =
        vec![json!(ISSUER), json!(format!("{ISSUER}/")), json!("http://auth"), json!([ISSUER]), json!(null)];
    let others = vec![
        ("scope", json!("a b")),
        ("scope", json!("a  b")),
        ("scope", json!(["a"])),
        ("roles", json!(["admin"])),
        ("roles", json!("admin")),
        ("fresh", json!("true")),
        ("custom", json!({"a": [1, {"b": null}]})),
    ];
    prop_oneof![
        (select(vec!["exp", "nbf", "iat", "auth_time"]), select(dates)).prop_map(|(n, v)| Twist::Claim(n, v)),
        (select(vec!["sub", "jti", "sid", "client_id"]), select(texts)).prop_map(|(n, v)| Twist::Claim(n, v)),
        select(audiences).prop_map(|value| Twist::Claim("aud", value)),
        select(issuers).prop_map(|value| Twist::Claim("iss", value)),
        select(others).prop_map(|(name, value)| Twist::Claim(name, value)),
        select(vec!["iss", "sub", "aud", "exp", "iat", "jti", "sid", "scope"]).prop_map(Twist::NoClaim),
        select(vec![
            r#""exp":1"#,
            r#""\u0065xp":1"#,
            r#""roles":[]"#,
            r#""x":1,"x":1"#,
            r#""x":{"y":1,"y":2}"#,
            r#""x":NaN"#,
            r#""x":1e999"#,
            "\"x\":\"\\ud800\"",
        ])
        .prop_map(Twist::Member),
    ]
}

fn header() -> impl Strategy<Value = Twist> {
    let values = vec![
        ("alg", json!("RS256")),
        ("alg", json!("none")),
        ("alg", json!("NONE")),
        ("alg", json!("rs256")),
        ("alg", json!("HS256")),
        ("alg", json!("RS384")),
        ("alg", json!("RS512")),
        ("alg", json!("PS256")),
        ("alg", json!("ES256")),
        ("alg", json!("EdDSA")),
        ("alg", json!(null)),
        ("alg", json!(["RS256"])),
        ("typ", json!("application/at+jwt")),
        ("typ", json!("AT+JWT")),
        ("typ", json!("JWT")),
        ("typ", json!("logout+jwt")),
        ("typ", json!(1)),
        ("kid", json!("nobody")),
        ("kid", json!("../../etc/passwd")),
        ("kid", json!("' OR 1=1 --")),
        ("kid", json!("x".repeat(300))),
        ("kid", json!(1)),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("jwk", THIEF.jwk()),
        ("jku", json!("http://elsewhere.test/jwks.json")),
        ("x5u", json!("http://elsewhere.test/")),
        ("zip", json!("DEF")),
    ];
    prop_oneof![
        4 => select(values).prop_map(|(name, value)| Twist::Header(name, value)),
        1 => select(vec!["alg", "typ", "kid"]).prop_map(Twist::NoHeader),
        1 => select(vec![r#""alg":"none""#, r#""\u0061lg":"RS256""#, r#""x":1,"x":2"#]).prop_map(Twist::HeaderMember),
    ]
}

fn twist() -> impl Strategy<Value = Twist> {
    prop_oneof![
        8 => claim(),
        4 => header(),
        1 => Just(Twist::Thief),
        1 => Just(Twist::Hmac),
        1 => Just(Twist::NoSignature),
        2 => (0_usize..6_000).prop_map(Twist::FlippedBit),
        1 => (0_usize..900).prop_map(Twist::Cut),
        1 => select(vec!["=", "==", " ", "\n", ".", "A", "%00", "\u{0}", "é"]).prop_map(Twist::Tail),
        1 => select(vec![" ", "Bearer ", "rt_", "\u{feff}", "."]).prop_map(Twist::Head),
        1 => Just(Twist::MoreSegments),
        1 => Just(Twist::StandardAlphabet),
        1 => Just(Twist::TooLong),
    ]
}

/// A token with all changes of `twists`.
fn token(forge: &Forge, good: &Value, twists: &[Twist]) -> String {
    let (mut claims, mut header) = (good.clone(), forge.header());
    let (mut members, mut header_members) = (None, None);
    for twist in twists {
        match twist {
            Twist::Claim(name, value) => claims = with(&claims, &[(name, value.clone())]),
            Twist::NoClaim(name) => claims = without(&claims, name),
            Twist::Header(name, value) => header = with(&header, &[(name, value.clone())]),
            Twist::NoHeader(name) => header = without(&header, name),
            Twist::Member(text) => members = Some(text),
            Twist::HeaderMember(text) => header_members = Some(text),
            Twist::TooLong => claims = with(&claims, &[("custom", json!("x".repeat(6_200)))]),
            _ => {}
        }
    }
    let payload = members.map_or_else(|| claims.to_string(), |member| raw_with(&claims, member));
    let header = header_members.map_or_else(|| header.to_string(), |member| raw_with(&header, member));
    let text = message(header, payload);
    let signature = if twists.iter().any(|twist| matches!(twist, Twist::Thief)) {
        THIEF.sign("RS256", &text)
    } else if twists.iter().any(|twist| matches!(twist, Twist::Hmac)) {
        hmac("HS256", &forge.key.modulus(), &text)
    } else {
        forge.key.sign("RS256", &text)
    };
    twists.iter().fold(seal(&text, signature), mangled)
}

fn mangled(token: String, twist: &Twist) -> String {
    match twist {
        Twist::NoSignature => token.rsplit_once('.').map_or(token.clone(), |(text, _)| format!("{text}.")),
        Twist::FlippedBit(at) => {
            let mut bytes = token.into_bytes();
            // An empty text has no bit to flip.
            if let Some(byte) = bytes.len().checked_sub(1).and_then(|last| bytes.get_mut((at / 6).min(last)))
            {
                *byte ^= 1 << (at % 6);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Twist::Cut(at) => token.chars().take(*at).collect(),
        Twist::Tail(tail) => token + tail,
        Twist::Head(head) => format!("{head}{token}"),
        Twist::MoreSegments => {
            let [header, payload, signature] = segments_or_empty(&token);
            format!("{header}.{payload}.{signature}.{signature}")
        }
        Twist::StandardAlphabet => token.replace('-', "+").replace('_', "/"),
        _ => token,
    }
}

fn segments_or_empty(token: &str) -> [&str; 3] {
    if token.matches('.').count() == 2 { segments(token) } else { [token, "", ""] }
}

/// The revocations in the service's log and in the local verifier's set.
fn revocations() -> Vec<Revocation> {
    let name = || "revoked".parse().unwrap();
    vec![
        Revocation::Token(name()),
        Revocation::Session(name()),
        Revocation::Client(name(), NumericDate::from_unix_seconds(BEGINNING + 60)),
        Revocation::Account(name(), NumericDate::from_unix_seconds(BEGINNING)),
    ]
}

async fn revoke(world: &World) {
    use auth_service::domain::{
        audit::{AuditEntry, Event},
        session::Device,
    };
    // Writes to the database directly, as another process would.
    let store = auth_service::store::Store::open(world.path("auth.db").into(), None).unwrap();
    for revocation in revocations() {
        let why = AuditEntry {
            at: world.clock.now(),
            event: Event::TokenRevoked,
            account: None,
            session: None,
            client: None,
            device: Device::default(),
            detail: None,
        };
        store.revoke(revocation, world.clock.now(), why).await.unwrap();
    }
}

/// The claims of a token, if the local verifier accepts it.
fn verified_here(token: &str, keys: &KeySet, revoked: &Revocations, now: Timestamp) -> Option<Value> {
    let audiences = AcceptedAudiences::AnyOf(vec![Audience::new(AUDIENCE)]);
    let verifier = Verifier::new(Issuer::new(ISSUER), audiences);
    let verified = verifier.verify(token, keys, revoked, now).ok()?;
    Some(serde_json::to_value(verified.claims()).unwrap())
}

/// The claims of each token that introspection over HTTP reports as active.
async fn introspected_over_http(world: &World, tokens: &[String]) -> Vec<Option<Value>> {
    const AT_ONCE: usize = 16;
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|task| {
            let own: Vec<_> = tokens.iter().skip(task).step_by(AT_ONCE).cloned().collect();
            let http = world.auth().clone();
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for token in own {
                    let ask = http.post("/oauth/introspect").basic(BILLING);
                    let mut answer = ask.form(&[("token", &token)]).await.is(200);
                    let members = answer.as_object_mut().unwrap();
                    let active = members.remove("active").unwrap();
                    assert_eq!(members.remove("token_type").is_some(), active == true);
                    assert!(active == true || members.is_empty(), "{answer}");
                    answers.push((active == true).then_some(answer));
                }
                answers
            })
        })
        .collect();
    let mut columns = Vec::new();
    for task in tasks {
        columns.push(task.await.unwrap().into_iter());
    }
    (0..tokens.len()).map(|number| columns[number % AT_ONCE].next().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_three_ways_to_verify_a_token_agree() {
    let world = World::new().await;
    let user = world.login().await;
    let (good, forge) = (user.claims(), world.forge());
    revoke(&world).await;
    let revoked = Revocations::default();
    revoked.change(|set| revocations().into_iter().for_each(|revocation| set.add(revocation)));
    let probe = forge.token(&with(&good, &[("sub", json!("revoked"))]));
    until("the log is followed", async || (!world.introspect(&probe).await.active).then_some(())).await;
    let keys = KeySet::from_json(&world.auth().get("/.well-known/jwks.json").await.body).unwrap();

    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed());
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let shapes = vec(twist(), 0..=3);
    let (mut total, mut active) = (0, 0);
    while total < effort(2_000, 100_000, 100_000) {
        let twists: Vec<_> = (0..PORTION).map(|_| shapes.new_tree(&mut runner).unwrap().current()).collect();
        // An empty form parameter counts as absent, so HTTP introspection cannot be asked about an empty token.
        let tokens: Vec<_> = twists
            .iter()
            .map(|twists| token(&forge, &good, twists))
            .map(|token| if token.is_empty() { b64("x") } else { token })
            .collect();
        let over_grpc = world.grpc().basic(BILLING.0, BILLING.1).batch(tokens.clone()).await.unwrap();
        let over_http = introspected_over_http(&world, &tokens).await;
        for (number, token) in tokens.iter().enumerate() {
            let here = verified_here(token, &keys, &revoked, world.clock.now());
            let grpc = &over_grpc[number];
            let what = || format!("token {}: {:?}: {token}", total + number, twists[number]);
            assert_eq!(here, over_http[number], "{}", what());
            assert_eq!(here.is_some(), grpc.active, "{}", what());
            let answered =
                grpc.claims.as_ref().map(|claims| json!([claims.sub, claims.exp, claims.aud.len()]));
            let expected = here.as_ref().map(|claims| {
                json!([claims["sub"], claims["exp"], claims["aud"].as_array().map_or(1, Vec::len)])
            });
            assert_eq!(answered, expected, "{}", what());
            active += usize::from(here.is_some());
        }
        total += PORTION;
    }
    println!("{total} tokens, {active} of them active");
    assert!(
        active > total / 10 && active < total / 2,
        "both kinds are tried: {active} of {total} are active"
    );
    world.stop().await;
}
