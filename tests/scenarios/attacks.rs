//! Forged tokens. Each row of SECURITY's first table is sent to every place that verifies tokens: the protected route
//! of resource-service and its forward-auth route, auth-service's `/me`, and introspection over gRPC. All places must
//! agree. The answer to every forgery is the same, whatever its fault.
//!
//! Every token is signed with the issuer's own key, unless the signature is what the case is about. So the fault in
//! question is the only reason for the refusal.

use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use tests::{
    Answer, Forge, World,
    forge::{raw_with, with, without},
    issuer::{FakeIssuer, Mode},
    jws::{OTHER, THIEF, b64, foreign, hmac, message, seal, segments},
    world::{AUDIENCE, BEGINNING, ISSUER},
};

use crate::forward_auth;

/// Expected verdict on a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Accepted.
    Good,
    /// Refused with 401 and the one answer for all forgeries.
    Forged,
    /// Signed by the issuer, but expired.
    Expired,
    /// A refresh token.
    Refresh,
    /// The request is too large to be parsed.
    TooLarge,
}
use Verdict::{Expired, Forged, Good, Refresh, TooLarge};

#[derive(Debug)]
pub(crate) struct Case {
    name: String,
    token: String,
    verdict: Verdict,
}

pub(crate) fn case(name: impl Into<String>, verdict: Verdict, token: impl Into<String>) -> Case {
    Case { name: name.into(), token: token.into(), verdict }
}

/// The forger's material.
pub(crate) struct Stolen {
    pub(crate) forge: Forge,
    pub(crate) claims: Value,
    pub(crate) authentic: String,
}

impl Stolen {
    pub(crate) async fn from(world: &World) -> Self {
        let tokens = world.login().await;
        Self { forge: world.forge(), claims: tokens.claims(), authentic: tokens.access }
    }

    /// A token with a changed header member, signed with the issuer's key.
    pub(crate) fn header(&self, name: &str, value: Value) -> String {
        self.forge.with_header(&with(&self.forge.header(), &[(name, value)]), &self.claims)
    }

    pub(crate) fn claim(&self, name: &str, value: Value) -> String {
        self.forge.token(&with(&self.claims, &[(name, value)]))
    }

    /// A token with a changed claim whose value no JSON library would write.
    pub(crate) fn raw_claim(&self, name: &str, value: &str) -> String {
        let claims = without(&self.claims, name);
        self.forge.raw(self.forge.header().to_string(), raw_with(&claims, &format!("\"{name}\":{value}")))
    }
}

/// Sends each token to every place. The answers to all forgeries must be equal, header by header.
pub(crate) async fn try_everywhere(world: &World, cases: impl IntoIterator<Item = Case>) {
    let mut seen = (None, None, None);
    let mut count = 0;
    for case in cases {
        eprintln!("{}", case.name);
        count += 1;
        // A header's value does not include blanks at its ends, and cannot contain some bytes.
        if case.token.trim() == case.token && HeaderValue::from_str(&case.token).is_ok() {
            let protected = world.protected(&case.token).await;
            check(&protected, AUDIENCE, case.verdict, &mut seen.0);
            let me = world.auth().get("/me").bearer(&case.token).await;
            check(&me, ISSUER, case.verdict, &mut seen.1);
            let proxy = world.resource().get("/auth").header("x-original-method", "GET");
            let proxy = proxy.header("x-original-uri", "/app").bearer(&case.token).await;
            check(&proxy, AUDIENCE, case.verdict, &mut seen.2);
        }
        let introspected = world.introspect(&case.token).await;
        assert_eq!(introspected.active, case.verdict == Good, "{}", case.name);
        assert_eq!(introspected.claims.is_some(), case.verdict == Good, "{}", case.name);
    }
    assert!(count > 3, "the table is empty");
    world.protected(&world.login().await.access).await.is(200);
}

#[track_caller]
fn check(answer: &Answer, realm: &str, verdict: Verdict, seen: &mut Option<Vec<(String, HeaderValue)>>) {
    let refused = |msg| answer.challenges(realm, 401, "invalid_token", msg, &[]);
    match verdict {
        Good => assert_eq!(answer.status, 200, "{answer:?}"),
        Forged => {
            refused("The token is invalid");
            let outside: Vec<_> = answer
                .headers
                .iter()
                .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()))
                .map(|(name, value)| (name.to_string(), value.clone()))
                .collect();
            assert_eq!(seen.get_or_insert_with(|| outside.clone()), &outside);
        }
        Expired => refused("The token has expired"),
        Refresh => refused("Only access tokens are accepted"),
        TooLarge => assert_eq!(answer.status, 431, "{answer:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_algorithm_is_rs256_and_nothing_else() {
    let (world, _rules) = forward_auth::world(&[]).await;
    let stolen = Stolen::from(&world).await;
    let Stolen { forge, claims, authentic } = &stolen;
    let mut cases = vec![case("the authentic token", Good, authentic.clone())];
    let message_of =
        |alg: Value| message(with(&forge.header(), &[("alg", alg)]).to_string(), claims.to_string());

    for alg in ["none", "None", "NONE", "nOnE", "none ", " none", "none\0", "", "n\u{f6}ne"] {
        let message = message_of(json!(alg));
        let name = |how: &str| format!("RFC 8725 §3.1, CVE-2015-9235: alg {alg:?}, {how}");
        cases.push(case(name("no signature"), Forged, format!("{message}.")));
        cases.push(case(name("an authentic signature"), Forged, forge.sign(&message)));
        let signature = segments(authentic)[2];
        cases.push(case(
            name("a signature that is another token's"),
            Forged,
            format!("{message}.{signature}"),
        ));
    }
    for alg in [
        json!(null),
        json!(256),
        json!(true),
        json!(["RS256"]),
        json!({"RS256": true}),
        json!("rs256"),
        json!("RS256 "),
        json!("RSA256"),
        json!("RS-256"),
        json!("HS256,RS256"),
        json!("RS256\0"),
        json!("SHA256withRSA"),
    ] {
        cases.push(case(format!("RFC 8725 §3.1: alg {alg}"), Forged, forge.sign(&message_of(alg))));
    }
    let absent = forge.with_header(&without(&forge.header(), "alg"), claims);
    cases.push(case("RFC 7515 §4.1.1: alg absent", Forged, absent));

    for alg in ["HS256", "HS384", "HS512"] {
        for (form, secret) in forge.key.public_forms() {
            let message = message_of(json!(alg));
            let name = format!(
                "RFC 8725 §2.1, CVE-2016-10555, CVE-2022-29217: {alg} with the public key as secret, {form}"
            );
            cases.push(case(name, Forged, seal(&message, hmac(alg, &secret, &message))));
            // The same HMAC, with the expected algorithm in the header.
            let message = message_of(json!("RS256"));
            let name = format!("CVE-2016-10555: RS256 over an HMAC of the public key, {form}");
            cases.push(case(name, Forged, seal(&message, hmac(alg, &secret, &message))));
        }
    }
    for alg in ["RS384", "RS512", "PS256", "PS384", "PS512"] {
        let message = message_of(json!(alg));
        let name = format!("RFC 8725 §3.1: {alg} with the issuer's key");
        cases.push(case(name, Forged, seal(&message, forge.key.sign(alg, &message))));
        let message = message_of(json!("RS256"));
        let name = format!("RFC 8725 §3.1: RS256 over a signature by {alg}");
        cases.push(case(name, Forged, seal(&message, forge.key.sign(alg, &message))));
        let message = message_of(json!(alg));
        let name = format!("RFC 8725 §3.1: {alg} over a signature by RS256");
        cases.push(case(name, Forged, seal(&message, forge.key.sign("RS256", &message))));
    }
    for alg in ["ES256", "ES384", "EdDSA"] {
        for name_of_header in [alg, "RS256"] {
            let message = message_of(json!(name_of_header));
            let name = format!("RFC 8725 §3.1: {name_of_header} over a signature by {alg}");
            cases.push(case(name, Forged, seal(&message, foreign(alg, &message).0)));
        }
    }
    for alg in ["ES256", "ES384", "ES512", "ES256K", "EdDSA", "RS256"] {
        for (what, signature) in
            [("zeros", vec![0; 64]), ("more zeros", vec![0; 256]), ("ones", vec![0xFF; 256])]
        {
            let name = format!("CVE-2022-21449 (psychic signatures): {alg}, {what}");
            cases.push(case(name, Forged, seal(&message_of(json!(alg)), signature)));
        }
    }
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_the_issuers_own_over_this_very_token() {
    let (world, _rules) = forward_auth::world(&[]).await;
    let stolen = Stolen::from(&world).await;
    let Stolen { forge, claims, authentic } = &stolen;
    let [header, payload, signature] = segments(authentic);
    let more = with(claims, &[("roles", json!(["admin", "root"]))]);
    let others = world.login_as(tests::world::PLAIN).await.access;
    let raw = tests::jws::unb64(signature);
    let flipped = |at: usize| {
        let mut bytes = raw.clone();
        bytes[at] ^= 1;
        seal(&format!("{header}.{payload}"), bytes)
    };
    let (own, theirs) = (forge.header(), with(&forge.header(), &[("kid", json!(THIEF.kid()))]));
    try_everywhere(
        &world,
        [
            case("RFC 7515 §5.2: more roles under the old signature", Forged, {
                format!("{header}.{}.{signature}", b64(more.to_string()))
            }),
            case("RFC 7515 §5.2: another token's payload", Forged, {
                format!("{header}.{}.{signature}", segments(&others)[1])
            }),
            case("RFC 7515 §5.2: another token's signature", Forged, {
                format!("{header}.{payload}.{}", segments(&others)[2])
            }),
            case("RFC 7515 §5.2: the first bit flipped", Forged, flipped(0)),
            case("RFC 7515 §5.2: the last bit flipped", Forged, flipped(255)),
            case(
                "RFC 8017 §8.2.2: a signature cut short",
                Forged,
                seal(&format!("{header}.{payload}"), &raw[..255]),
            ),
            case("RFC 8017 §8.2.2: a signature with a zero before it", Forged, {
                seal(&format!("{header}.{payload}"), [&[0], raw.as_slice()].concat())
            }),
            case("RFC 8017 §8.2.2: a signature with bytes behind it", Forged, {
                seal(&format!("{header}.{payload}"), [raw.as_slice(), &[0]].concat())
            }),
            case("RFC 8017 §8.2.2: a signature of 5 KiB", Forged, {
                seal(&format!("{header}.{payload}"), raw.repeat(20))
            }),
            case("RFC 8725 §3.10: another key under the issuer's kid", Forged, THIEF.token(&own, claims)),
            case("RFC 8725 §3.10: another key under its own kid", Forged, THIEF.token(&theirs, claims)),
            case(
                "RFC 8725 §3.10: the issuer's key under another kid",
                Forged,
                forge.with_header(&theirs, claims),
            ),
        ],
    )
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_brings_its_own_key_changes_nothing_and_reaches_nobody() {
    let (world, _rules) = forward_auth::world(&[]).await;
    let stolen = Stolen::from(&world).await;
    let forge = &stolen.forge;
    let lair =
        FakeIssuer::start(Mode::Keys(vec![THIEF.jwk(), with(&THIEF.jwk(), &[("kid", json!(forge.kid))])]))
            .await;
    let certificate = b64(THIEF.modulus()).replace('-', "+").replace('_', "/");
    let mut members = vec![
        ("jwk", THIEF.jwk()),
        ("jwk", with(&THIEF.jwk(), &[("kid", json!(forge.kid))])),
        ("jwk", json!({"kty": "oct", "k": ""})),
        ("jwk", json!(null)),
        ("x5c", json!([certificate])),
        ("x5t", json!(THIEF.kid())),
        ("x5t#S256", json!(THIEF.kid())),
    ];
    for path in ["", "/.well-known/jwks.json", "/keys?x=#y"] {
        members.push(("jku", json!(format!("{}{path}", lair.url()))));
        members.push(("x5u", json!(format!("{}{path}", lair.url()))));
        members.push(("iss", json!(lair.url())));
    }
    let mut cases = Vec::new();
    for (member, value) in members {
        let header = with(&forge.header(), &[(member, value.clone())]);
        let about = |how: &str| format!("RFC 8725 §3.10, CVE-2018-0114: {member} {how}: {value:.60}");
        for kid in [json!(forge.kid), json!(THIEF.kid()), json!("")] {
            let theirs = with(&header, &[("kid", kid)]);
            cases.push(case(
                about("with a key of the thief's"),
                Forged,
                THIEF.token(&theirs, &stolen.claims),
            ));
        }
        let nameless = without(&header, "kid");
        cases.push(case(about("without a kid"), Forged, THIEF.token(&nameless, &stolen.claims)));
        cases.push(case(
            about("beside an authentic signature"),
            Good,
            forge.with_header(&header, &stolen.claims),
        ));
    }
    for address in [lair.url(), format!("{}/.well-known/jwks.json", lair.url())] {
        let claims = with(&stolen.claims, &[("iss", json!(address))]);
        let header = with(&forge.header(), &[("kid", json!(THIEF.kid()))]);
        cases.push(case("CVE-2018-0114: an issuer of the thief's", Forged, THIEF.token(&header, &claims)));
    }
    try_everywhere(&world, cases).await;
    assert_eq!(lair.hits(), 0, "a token never causes a connection to an address that it names");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kid_is_a_name_and_never_a_path_a_statement_or_a_line() {
    let (world, _rules) = forward_auth::world(&[]).await;
    let stolen = Stolen::from(&world).await;
    let kid = stolen.forge.kid.clone();
    let mut cases = Vec::new();
    for other in [
        "../../../../../../dev/null",
        "/dev/null",
        "file:///etc/passwd",
        "x' OR '1'='1",
        "'; DROP TABLE signing_keys; --",
        "x' UNION SELECT 'AAAA",
        "a\r\nSet-Cookie: x=y",
        "a\n{\"level\":\"ERROR\"}",
        "\0",
        "\u{1b}[2J",
        "${jndi:ldap://127.0.0.1/x}",
        "",
        " ",
    ] {
        cases.push(case(
            format!("RFC 8725 §3.10: kid {other:?}"),
            Forged,
            stolen.header("kid", json!(other)),
        ));
    }
    for (name, other) in [
        ("with a NUL behind it", format!("{kid}\0")),
        ("with a blank behind it", format!("{kid} ")),
        ("with a line end behind it", format!("{kid}\n")),
        ("in upper case", kid.to_uppercase()),
        ("cut short", kid[..kid.len() - 1].to_owned()),
        ("as a path", format!("./{kid}")),
        ("256 bytes long", "k".repeat(256)),
        ("4 KiB long", "k".repeat(4_096)),
    ] {
        cases.push(case(
            format!("RFC 8725 §3.10: the issuer's kid {name}"),
            Forged,
            stolen.header("kid", json!(other)),
        ));
    }
    for other in [json!(null), json!(0), json!(true), json!([kid]), json!({"kid": kid}), json!(1.5)] {
        cases.push(case(format!("RFC 7515 §4.1.4: kid {other}"), Forged, stolen.header("kid", other)));
    }
    let nameless = without(&stolen.forge.header(), "kid");
    cases.push(case("RFC 9068 §4: no kid", Forged, stolen.forge.with_header(&nameless, &stolen.claims)));
    let escaped = kid.chars().map(|char| format!("\\u{:04x}", u32::from(char))).collect::<Vec<_>>().concat();
    let header = format!(r#"{{"alg":"RS256","typ":"at+jwt","kid":"{escaped}"}}"#);
    let spelled = stolen.forge.raw(header, stolen.claims.to_string());
    cases.push(case("RFC 8259 §7: the issuer's kid, spelled with escapes", Good, spelled));
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn extensions_that_nobody_here_understands_are_refused() {
    let (world, _rules) = forward_auth::world(&[]).await;
    let stolen = Stolen::from(&world).await;
    let mut cases = Vec::new();
    for crit in [
        json!(["exp"]),
        json!(["b64"]),
        json!(["bork"]),
        json!(["alg"]),
        json!([]),
        json!(null),
        json!("exp"),
        json!({}),
        json!(false),
        json!(0),
    ] {
        let name = format!("RFC 7515 §4.1.11, CVE-2025-59420: crit {crit}");
        let named =
            with(&stolen.forge.header(), &[("crit", crit.clone()), ("bork", json!(1)), ("exp", json!(1))]);
        cases.push(case(name.clone(), Forged, stolen.header("crit", crit)));
        cases.push(case(name, Forged, stolen.forge.with_header(&named, &stolen.claims)));
    }
    for b64 in [json!(false), json!(true), json!(null), json!("false")] {
        cases.push(case(
            format!("RFC 7797 §3: b64 {b64} without crit"),
            Forged,
            stolen.header("b64", b64.clone()),
        ));
        let both = with(&stolen.forge.header(), &[("b64", b64.clone()), ("crit", json!(["b64"]))]);
        let token = stolen.forge.with_header(&both, &stolen.claims);
        cases.push(case(format!("RFC 7797 §6: b64 {b64} with crit"), Forged, token));
    }
    let header = with(&stolen.forge.header(), &[("b64", json!(false)), ("crit", json!(["b64"]))]);
    let unencoded = format!("{}.{}", b64(header.to_string()), stolen.claims);
    cases.push(case("RFC 7797 §5.2: an unencoded payload", Forged, stolen.forge.sign(&unencoded)));
    let [header, _, signature] = segments(&stolen.authentic);
    cases.push(case("RFC 7515 §F: a detached payload", Forged, format!("{header}..{signature}")));
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_one_reading_or_none() {
    let (world, _rules) = forward_auth::world(&[]).await;
    let stolen = Stolen::from(&world).await;
    let forge = &stolen.forge;
    let (header, claims) = (forge.header(), &stolen.claims);
    let mut cases = Vec::new();
    let kid = &forge.kid;
    for member in [
        r#""alg":"RS256""#.to_owned(),
        r#""alg":"none""#.into(),
        r#""\u0061lg":"RS256""#.into(),
        r#""\u0061\u006c\u0067":"none""#.into(),
        r#""typ":"at+jwt""#.into(),
        format!(r#""kid":"{kid}""#),
        format!(r#""\u006bid":"{kid}""#),
        r#""x":1,"x":1"#.into(),
        r#""x":1,"\u0078":2"#.into(),
        r#""x":{"y":1,"y":2}"#.into(),
        r#""x":[{"y":1,"\u0079":2}]"#.into(),
    ] {
        let token = forge.raw(raw_with(&header, &member), claims.to_string());
        cases.push(case(format!("RFC 7515 §4, RFC 8725 §2.6: header with {member} on top"), Forged, token));
    }
    for member in [
        format!(r#""exp":{}"#, BEGINNING + 900),
        r#""exp":99999999999"#.into(),
        r#""\u0065xp":99999999999"#.into(),
        r#""iss":"http://evil.test""#.into(),
        r#""aud":"resource-service""#.into(),
        r#""\u0061ud":["resource-service"]"#.into(),
        r#""sub":"root""#.into(),
        r#""s\u0075b":"root""#.into(),
        r#""roles":["admin"]"#.into(),
        r#""scope":"everything""#.into(),
        r#""fresh":true"#.into(),
        r#""custom":1,"custom":1"#.into(),
        r#""custom":1,"c\u0075stom":2"#.into(),
        r#""custom":{"a":1,"a":2}"#.into(),
        r#""custom":[[{"a":1,"\u0061":2}]]"#.into(),
    ] {
        let token = forge.raw(header.to_string(), raw_with(claims, &member));
        cases.push(case(format!("RFC 7519 §4, RFC 8725 §2.6: claims with {member} on top"), Forged, token));
    }
    let spelled = claims.to_string().replace("\"exp\"", "\"\\u0065xp\"");
    cases.push(case(
        "RFC 8259 §7: exp once, spelled with an escape",
        Good,
        forge.raw(header.to_string(), spelled),
    ));

    for (name, distort) in distortions() {
        let (header, claims) = (header.to_string(), claims.to_string());
        cases.push(case(
            format!("RFC 8259 §8.1: header {name}"),
            Forged,
            forge.raw(distort(&header), &claims),
        ));
        cases.push(case(
            format!("RFC 8259 §8.1: claims {name}"),
            Forged,
            forge.raw(&header, distort(&claims)),
        ));
    }
    for value in [
        "NaN",
        "Infinity",
        "-Infinity",
        "0x10",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "'x'",
        "undefined",
        "\"\n\"",
        "\"\\x41\"",
        "\"\\ud800\"",
        "\"unfinished",
        "[1,]",
        "{\"a\":1,}",
        "/**/1",
        "1//x\n",
        "True",
        "1_000",
    ] {
        let member = format!("\"custom\":{value}");
        let token = forge.raw(header.to_string(), raw_with(claims, &member));
        cases.push(case(format!("RFC 8259: claims with {value}"), Forged, token));
        let token = forge.raw(raw_with(&header, &member), claims.to_string());
        cases.push(case(format!("RFC 8259: header with {value}"), Forged, token));
    }
    try_everywhere(&world, cases).await;
    world.stop().await;
}

type Distortion = Box<dyn Fn(&str) -> Vec<u8>>;

/// Changes that make a JSON object invalid JSON or invalid UTF-8.
fn distortions() -> Vec<(&'static str, Distortion)> {
    let utf16 = |order: fn(u16) -> [u8; 2], mark: bool| -> Distortion {
        Box::new(move |text| {
            mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16()).flat_map(order).collect()
        })
    };
    let around = |before: &'static [u8], after: &'static [u8]| -> Distortion {
        Box::new(move |text| [before, text.as_bytes(), after].concat())
    };
    let instead = |other: &'static [u8]| -> Distortion { Box::new(move |_| other.to_vec()) };
    vec![
        ("with a byte order mark", around(b"\xEF\xBB\xBF", b"")),
        ("in UTF-16, little end first", utf16(u16::to_le_bytes, false)),
        ("in UTF-16, big end first", utf16(u16::to_be_bytes, false)),
        ("in UTF-16 with a mark", utf16(u16::to_le_bytes, true)),
        ("in UTF-32", Box::new(|text| text.chars().flat_map(|char| u32::from(char).to_le_bytes()).collect())),
        (
            "with a byte that is not UTF-8",
            Box::new(|text| [text.strip_suffix('}').unwrap().as_bytes(), b",\"x\":\"\xFF\"}"].concat()),
        ),
        (
            "with an overlong encoding",
            Box::new(|text| [text.strip_suffix('}').unwrap().as_bytes(), b",\"x\":\"\xC0\xAF\"}"].concat()),
        ),
        ("with a letter behind it", around(b"", b"x")),
        ("with another object behind it", around(b"", b"{}")),
        ("with a NUL behind it", around(b"", b"\0")),
        ("with a comma behind it", around(b"", b",")),
        ("with a guard before it", around(b")]}',\n", b"")),
        ("in an array", around(b"[", b"]")),
        ("in a string", Box::new(|text| json!(text).to_string().into_bytes())),
        ("cut short", Box::new(|text| text.as_bytes()[..text.len() - 1].to_vec())),
        ("as nothing", instead(b"")),
        ("as a blank", instead(b" ")),
        ("as null", instead(b"null")),
        ("as true", instead(b"true")),
        ("as a number", instead(b"1")),
        ("as an empty object", instead(b"{}")),
        ("as an empty array", instead(b"[]")),
        ("as CBOR", instead(b"\xA1\x63alg\x65RS256")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_has_one_spelling() {
    let (world, _rules) = forward_auth::world(&[]).await;
    let stolen = Stolen::from(&world).await;
    let forge = &stolen.forge;
    // Each segment of this token contains both special letters of the URL alphabet and ends with unused bits.
    let token = (0..10_000)
        .map(|number| {
            let header = with(&forge.header(), &[("x", json!(format!("?>?>{number}")))]);
            forge.with_header(&header, &with(&stolen.claims, &[("x", json!(format!("?>~?>~{number}")))]))
        })
        .find(|token| {
            segments(token).iter().all(|segment| segment.contains(['-', '_']) && segment.len() % 4 >= 2)
        })
        .expect("such a token");
    let parts = segments(&token).map(str::to_owned);
    let mut cases = vec![case("the token itself", Good, token.clone())];
    let mut respell = |name: &str, spell: &dyn Fn(&str) -> String| {
        for (index, segment) in ["header", "payload", "signature"].iter().enumerate() {
            let mut parts = parts.clone();
            parts[index] = spell(&parts[index]);
            let name = format!("RFC 7515 §2, RFC 4648 §3.5: {segment} {name}");
            // The signature covers the changed spelling, so the spelling is the only fault.
            let signed = format!("{}.{}", parts[0], parts[1]);
            let token = if index == 2 { parts.join(".") } else { forge.sign(&signed) };
            cases.push(case(name, Forged, token));
        }
    };
    respell("with padding", &|segment| format!("{segment}{}", &"==="[..4 - segment.len() % 4]));
    respell("with too much padding", &|segment| format!("{segment}===="));
    respell("with an equals sign", &|segment| format!("{segment}="));
    respell("in the standard alphabet", &|segment| segment.replace('-', "+").replace('_', "/"));
    respell("with a blank in it", &|segment| format!("{} {}", &segment[..4], &segment[4..]));
    respell("with a tab in it", &|segment| format!("{}\t{}", &segment[..4], &segment[4..]));
    respell("with a line end in it", &|segment| format!("{}\r\n{}", &segment[..4], &segment[4..]));
    respell("with a NUL in it", &|segment| format!("{}\0{}", &segment[..4], &segment[4..]));
    respell("with a percent escape in it", &|segment| {
        format!("%{:02X}{}", segment.as_bytes()[0], &segment[1..])
    });
    respell("with a letter more", &|segment| format!("{segment}A"));
    respell("with a letter outside ASCII", &|segment| format!("{segment}\u{e4}"));
    respell("with unused bits set", &|segment| {
        const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let (rest, last) = segment.split_at(segment.len() - 1);
        let at = ALPHABET.find(last).unwrap();
        format!("{rest}{}", &ALPHABET[at + 1..at + 2])
    });
    let [header, payload, signature] = &parts;
    for (name, token) in [
        ("nothing", String::new()),
        ("one dot", ".".into()),
        ("two dots", "..".into()),
        ("three dots", "...".into()),
        ("a header", header.clone()),
        ("a header and a payload", format!("{header}.{payload}")),
        ("no signature", format!("{header}.{payload}.")),
        ("no payload", format!("{header}..{signature}")),
        ("no header", format!(".{payload}.{signature}")),
        ("a dot behind it", format!("{token}.")),
        ("a dot before it", format!(".{token}")),
        ("four segments", format!("{token}.{signature}")),
        ("five segments", format!("{token}.{signature}.{signature}")),
        ("the token twice", format!("{token}.{token}")),
        ("8,000 dots", ".".repeat(8_000)),
        ("8,192 dots", ".".repeat(8_192)),
        ("a header and 7,000 dots", format!("{header}{}", ".".repeat(7_000))),
        ("a blank before it", format!(" {token}")),
        ("a blank behind it", format!("{token} ")),
        ("a line end behind it", format!("{token}\n")),
        ("quotes around it", format!("\"{token}\"")),
        ("Bearer before it", format!("Bearer {token}")),
    ] {
        cases.push(case(format!("CVE-2025-27144, CVE-2025-30204: {name}"), Forged, token));
    }
    let flat = json!({"payload": payload, "protected": header, "signature": signature}).to_string();
    cases.push(case("RFC 7515 §7.2.2: the flattened JSON form", Forged, flat));
    try_everywhere(&world, cases).await;
    let bytes = world.protected(b"\xFF\xFE\x80".as_slice()).await;
    check(&bytes, AUDIENCE, Forged, &mut None);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_is_a_number_that_makes_sense() {
    let (world, _rules) = forward_auth::world(&[]).await;
    let stolen = Stolen::from(&world).await;
    let mut cases = vec![
        case("RFC 9068 §2.2: exp absent", Forged, stolen.forge.token(&without(&stolen.claims, "exp"))),
        case("RFC 7519 §4.1.6: iat absent", Good, stolen.forge.token(&without(&stolen.claims, "iat"))),
        case("RFC 7519 §4.1.4: exp now", Expired, stolen.claim("exp", json!(BEGINNING))),
        case("RFC 7519 §4.1.4: exp in a second", Good, stolen.claim("exp", json!(BEGINNING + 1))),
        case("RFC 7519 §4.1.4: exp a second ago", Expired, stolen.claim("exp", json!(BEGINNING - 1))),
        case("RFC 7519 §4.1.4: exp in 1970", Expired, stolen.claim("exp", json!(0))),
        case("RFC 7519 §4.1.5: nbf now", Good, stolen.claim("nbf", json!(BEGINNING))),
        case("RFC 7519 §4.1.5: nbf in a second", Forged, stolen.claim("nbf", json!(BEGINNING + 1))),
        case("RFC 7519 §4.1.6: iat in a minute", Good, stolen.claim("iat", json!(BEGINNING + 60))),
        case(
            "RFC 7519 §4.1.6: iat in more than a minute",
            Forged,
            stolen.claim("iat", json!(BEGINNING + 61)),
        ),
        case("RFC 7519 §2: exp as a float", Good, stolen.raw_claim("exp", "1800000900.75")),
        case("RFC 7519 §2: exp as a float with an exponent", Good, stolen.raw_claim("exp", "1.8000009e9")),
        case(
            "RFC 7519 §2: exp as a float that is cut off to now",
            Expired,
            stolen.raw_claim("exp", "1800000000.9"),
        ),
        case("RFC 7519 §2: iat as a float", Good, stolen.raw_claim("iat", "1799999999.5")),
        case("RFC 7519 §2: nbf as a float", Good, stolen.raw_claim("nbf", "1799999999.5")),
        case("RFC 7519 §2: exp as far away as it may be", Good, stolen.raw_claim("exp", "9007199254740992")),
    ];
    for name in ["exp", "nbf", "iat", "auth_time"] {
        for value in [
            "\"1800000900\"",
            "\"\"",
            "\"never\"",
            "true",
            "false",
            "null",
            "[]",
            "[1800000900]",
            "{}",
            "-1",
            "-1800000900",
            "-0.5",
            "9007199254740993",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "1e20",
            "1e300",
            "1e400",
            "-1e400",
            "NaN",
        ] {
            let about = format!("CVE-2026-25537, RFC 7519 §2: {name} {value}");
            cases.push(case(about, Forged, stolen.raw_claim(name, value)));
        }
    }
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_and_the_subject_are_exactly_these() {
    let (world, _rules) = forward_auth::world(&[]).await;
    let stolen = Stolen::from(&world).await;
    let mut cases = Vec::new();
    for name in ["iss", "sub"] {
        let absent = stolen.forge.token(&without(&stolen.claims, name));
        cases.push(case(format!("RFC 9068 §2.2: {name} absent"), Forged, absent));
        for value in [json!(null), json!(""), json!(0), json!(true), json!([stolen.claims[name]]), json!({})]
        {
            let about = format!("CVE-2020-26160, CVE-2024-53861: {name} {value}");
            cases.push(case(about, Forged, stolen.claim(name, value)));
        }
    }
    for iss in [
        "http://auth.test/",
        "http://auth.tes",
        "http://auth.test.evil.test",
        "http://auth.test@evil.test",
        "HTTP://auth.test",
        "http://AUTH.TEST",
        "https://auth.test",
        "http://auth.test:80",
        "http://auth.test ",
        " http://auth.test",
        "auth.test",
        "http://auth.test\0",
        "http://auth.test#",
        "h",
        "http://auth.test,http://evil.test",
        "http://\u{430}uth.test",
    ] {
        let about = format!("RFC 9068 §4, CVE-2024-53861: iss {iss:?}");
        cases.push(case(about, Forged, stolen.claim("iss", json!(iss))));
    }
    cases.push(case("RFC 9068 §2.2: sub of 256 bytes", Forged, stolen.claim("sub", json!("s".repeat(256)))));
    for name in ["sid", "jti", "client_id"] {
        for value in [json!(""), json!(1), json!(null), json!("x".repeat(256)), json!(["x"])] {
            cases.push(case(format!("RFC 8725 §3.8: {name} {value:.20}"), Forged, stolen.claim(name, value)));
        }
    }
    for (name, value) in [
        ("scope", json!(["documents:read"])),
        ("scope", json!(1)),
        ("scope", json!("a  b")),
        ("scope", json!("a\"b")),
        ("scope", json!(null)),
        ("roles", json!("admin")),
        ("roles", json!({"admin": true})),
        ("roles", json!([1])),
        ("roles", json!(null)),
        ("email", json!(1)),
        ("email", json!(["a@b"])),
        ("fresh", json!("true")),
        ("fresh", json!(1)),
        ("amr", json!("pwd")),
        ("csrf", json!(1)),
    ] {
        cases.push(case(format!("RFC 8725 §3.11: {name} {value}"), Forged, stolen.claim(name, value)));
    }
    let jti = stolen.forge.token(&without(&stolen.claims, "jti"));
    cases.push(case("CONTRACT: a verifier requires no jti", Good, jti));
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audience_is_exactly_this() {
    let (world, _rules) = forward_auth::world(&[]).await;
    let stolen = Stolen::from(&world).await;
    let aud = |value: Value| stolen.claim("aud", value);
    let mut cases =
        vec![case("RFC 9068 §4: aud absent", Forged, stolen.forge.token(&without(&stolen.claims, "aud")))];
    for value in [
        json!(null),
        json!([]),
        json!(0),
        json!(true),
        json!({"resource-service": true}),
        json!([["resource-service"]]),
        json!(["resource-service", 1]),
        json!([1, "resource-service"]),
        json!(["resource-service", null]),
    ] {
        cases.push(case(format!("RFC 7519 §4.1.3, CVE-2020-26160: aud {value}"), Forged, aud(value)));
    }
    try_everywhere(&world, cases).await;

    // These are valid audiences, but not of this service. `/me` serves every user of the issuer and accepts them.
    for value in [
        json!(""),
        json!([""]),
        json!("resource"),
        json!("resource-service2"),
        json!("Resource-Service"),
        json!("resource-service "),
        json!(" resource-service"),
        json!("resource-service archive"),
        json!("resource-service,archive"),
        json!("archive"),
        json!(["archive", "Resource-Service"]),
        json!("*"),
        json!("resource-service\0"),
        json!(ISSUER),
    ] {
        eprintln!("RFC 9068 §4, CVE-2020-26160: aud {value}");
        let token = aud(value);
        check(&world.protected(&token).await, AUDIENCE, Forged, &mut None);
        let introspected = world.introspect(&token).await;
        assert_eq!((introspected.active, introspected.claims), (false, None));
    }
    for value in [json!([AUDIENCE]), json!(["archive", AUDIENCE]), json!([AUDIENCE, AUDIENCE])] {
        let token = aud(value.clone());
        check(&world.protected(&token).await, AUDIENCE, Good, &mut None);
        assert!(world.introspect(&token).await.active, "aud {value}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_kind_opens_nothing() {
    let (world, _rules) = forward_auth::world(&[]).await;
    let stolen = Stolen::from(&world).await;
    let typ = |value: Value| stolen.header("typ", value);
    let absent = stolen.forge.with_header(&without(&stolen.forge.header(), "typ"), &stolen.claims);
    let mut cases = vec![
        case("RFC 9068 §4: typ absent", Forged, absent),
        case("RFC 9068 §4: a refresh token", Refresh, world.login().await.refresh),
        case("RFC 9068 §4: what begins as a refresh token does", Refresh, "rt_"),
        case("RFC 7515 §4.1.9: typ in another case", Good, typ(json!("AT+JWT"))),
        case("RFC 7515 §4.1.9: typ as a whole media type", Good, typ(json!("application/at+jwt"))),
        case(
            "RFC 7515 §4.1.9: typ as a whole media type in another case",
            Good,
            typ(json!("Application/AT+jwt")),
        ),
    ];
    for value in [
        json!("JWT"),
        json!("jwt"),
        json!("JOSE"),
        json!("id_token"),
        json!("logout+jwt"),
        json!("secevent+jwt"),
        json!("refresh+jwt"),
        json!("dpop+jwt"),
        json!("token-introspection+jwt"),
        json!("at+jwt "),
        json!(" at+jwt"),
        json!("at +jwt"),
        json!("at+jwt;x=y"),
        json!("text/at+jwt"),
        json!("application/application/at+jwt"),
        json!("at"),
        json!("x-at+jwt"),
        json!(""),
        json!(null),
        json!(1),
        json!(["at+jwt"]),
        json!({"at+jwt": 1}),
    ] {
        cases.push(case(format!("RFC 8725 §3.11, RFC 9068 §4: typ {value}"), Forged, typ(value)));
    }
    let id_token = with(&stolen.claims, &[("nonce", json!("n")), ("at_hash", json!("h"))]);
    let logout = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    let logout = with(&stolen.claims, &[("events", logout)]);
    for (name, kind, claims) in [("an ID token", "JWT", id_token), ("a logout token", "logout+jwt", logout)] {
        let header = with(&stolen.forge.header(), &[("typ", json!(kind))]);
        cases.push(case(
            format!("RFC 8725 §3.11: {name}"),
            Forged,
            stolen.forge.with_header(&header, &claims),
        ));
    }
    for (name, header) in [
        ("with cty", with(&stolen.forge.header(), &[("cty", json!("JWT"))])),
        ("without cty", stolen.forge.header()),
    ] {
        let nested = stolen.forge.raw(header.to_string(), &stolen.authentic);
        cases.push(case(format!("RFC 7519 §5.2: a nested token {name}"), Forged, nested));
    }
    for zip in [None, Some("DEF")] {
        let mut header =
            json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "typ": "at+jwt", "kid": stolen.forge.kid});
        if let Some(zip) = zip {
            header["zip"] = json!(zip);
        }
        let [key, iv, text, tag] = [256, 12, 400, 16].map(|length| b64(vec![7; length]));
        let jwe = format!("{}.{key}.{iv}.{text}.{tag}", b64(header.to_string()));
        cases.push(case(format!("CVE-2024-28180, RFC 7516: a JWE, zip {zip:?}"), Forged, jwe));
    }
    let assertion = json!({"alg": "RS256", "typ": "JWT", "kid": THIEF.kid()});
    cases.push(case("RFC 7523: a client's assertion", Forged, OTHER.token(&assertion, &stolen.claims)));
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_does_not_go_off() {
    let (world, _rules) = forward_auth::world(&[]).await;
    let stolen = Stolen::from(&world).await;
    let Stolen { forge, claims, .. } = &stolen;
    let header = forge.header();
    let deep =
        |open: &str, close: &str, times: usize| format!("{}1{}", open.repeat(times), close.repeat(times));
    let mut cases = Vec::new();
    for (name, value) in [
        ("2,000 arrays deep", deep("[", "]", 2_000)),
        ("800 objects deep", deep("{\"a\":", "}", 800)),
        ("2,000 arrays that never end", "[".repeat(2_000)),
        ("a number of 4,000 digits", "9".repeat(4_000)),
        ("a number of 4,000 digits below zero", format!("-{}", "9".repeat(4_000))),
        ("a number with an exponent of 4,000 digits", format!("1e{}", "9".repeat(4_000))),
    ] {
        let member = format!("\"bomb\":{value}");
        let about = |part| format!("CVE-2022-36083, CVE-2024-28180: {part} with {name}");
        cases.push(case(about("claims"), Forged, forge.raw(header.to_string(), raw_with(claims, &member))));
        cases.push(case(about("header"), Forged, forge.raw(raw_with(&header, &member), claims.to_string())));
        cases.push(case(about("exp"), Forged, stolen.raw_claim("exp", &value)));
        cases.push(case(about("aud"), Forged, stolen.raw_claim("aud", &value)));
    }
    cases.push(case(
        "RFC 8725 §3.11: a number of 20,000 digits",
        Forged,
        stolen.raw_claim("exp", &"9".repeat(20_000)),
    ));

    // Exactly 8 KiB are accepted. A longer token is refused without being parsed.
    let most = (0..4).find_map(|more| {
        let header = with(&header, &[("x", json!("x".repeat(more)))]);
        (5_000..6_100)
            .map(|pad| {
                message(header.to_string(), with(claims, &[("pad", json!("x".repeat(pad)))]).to_string())
            })
            .find(|message| message.len() + 343 == 8_192)
    });
    let most = forge.sign(&most.expect("a token of 8 KiB"));
    assert_eq!(most.len(), 8_192);
    cases.push(case("CONTRACT: a token of 8 KiB", Good, most.clone()));
    cases.push(case("CONTRACT: a byte more", Forged, format!("{most}A")));
    let long = stolen.claim("pad", json!("x".repeat(7_000)));
    assert!(long.len() > 8_192);
    cases.push(case("CONTRACT: an authentic token that is too long", Forged, long));
    cases.push(case("CVE-2022-36083: 20 KiB of nothing", Forged, "x".repeat(20_000)));
    cases.push(case("CVE-2024-28180: a header of 1 MiB", TooLarge, {
        stolen.header("pad", json!("x".repeat(1_048_576)))
    }));
    try_everywhere(&world, cases).await;
    world.stop().await;
}
