//! A regression test for each advisory in fixtures/advisories.txt, named by the advisory's id. Each test sends the
//! token that broke the library in question to every place that verifies tokens. [`attacks`](crate::attacks) tests
//! whole families of attacks.

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    World,
    forge::with,
    jws::{THIEF, b64, hmac, message, seal},
    world::{AUDIENCE, BEGINNING, ISSUER},
};

use crate::{
    attacks::{
        Stolen,
        Verdict::{Forged, Good, TooLarge},
        case, try_everywhere,
    },
    forward_auth,
};

const ADVISORIES: &str = include_str!("../fixtures/advisories.txt");

#[test]
fn every_advisory_has_a_regression_of_its_name_and_every_regression_an_advisory() {
    let lines = ADVISORIES.lines().filter(|line| !line.starts_with('#'));
    let listed: Vec<_> =
        lines.map(|line| line.split(' ').next().unwrap().to_lowercase().replace('-', "_")).collect();
    let tests =
        include_str!("advisories.rs").split("#[tokio::test(flavor = \"multi_thread\")]\nasync fn ").skip(1);
    let written: Vec<_> = tests
        .map(|test| test.split_inclusive('_').take(3).collect::<String>().trim_end_matches('_').to_owned())
        .collect();
    assert_eq!(written, listed);
    assert_eq!(listed.len(), 12);
}

/// Both services, and a forger with an authentic token and the signing key.
async fn stolen() -> (World, TempDir, Stolen) {
    let (world, rules) = forward_auth::world(&[]).await;
    let stolen = Stolen::from(&world).await;
    (world, rules, stolen)
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2015_9235_no_token_chooses_how_it_is_verified() {
    let (world, _rules, stolen) = stolen().await;
    let Stolen { forge, claims, authentic } = &stolen;
    let mut cases = vec![case("authentic", Good, authentic.clone())];
    for alg in ["none", "None", "HS256"] {
        let message = message(with(&forge.header(), &[("alg", json!(alg))]).to_string(), claims.to_string());
        cases.push(case(format!("{alg}, unsigned"), Forged, format!("{message}.")));
        cases.push(case(
            format!("{alg}, an empty HMAC"),
            Forged,
            seal(&message, hmac("HS256", b"", &message)),
        ));
    }
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2016_10555_the_public_key_is_no_secret() {
    let (world, _rules, stolen) = stolen().await;
    let Stolen { forge, claims, authentic } = &stolen;
    let mut cases = vec![case("authentic", Good, authentic.clone())];
    for alg in ["HS256", "HS384", "HS512"] {
        let message = message(with(&forge.header(), &[("alg", json!(alg))]).to_string(), claims.to_string());
        let (_, pem) = forge.key.public_forms().into_iter().find(|(form, _)| *form == "PEM").unwrap();
        cases.push(case(format!("{alg} with the PEM"), Forged, seal(&message, hmac(alg, &pem, &message))));
    }
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2018_0114_a_token_brings_no_key() {
    let (world, _rules, stolen) = stolen().await;
    let Stolen { forge, claims, authentic } = &stolen;
    let mut cases = vec![case("authentic", Good, authentic.clone())];
    let own = with(&THIEF.jwk(), &[("kid", json!(forge.kid))]);
    for (name, header) in [
        ("its own", json!({"alg": "RS256", "typ": "at+jwt", "kid": THIEF.kid(), "jwk": THIEF.jwk()})),
        ("its own without a name", json!({"alg": "RS256", "typ": "at+jwt", "jwk": THIEF.jwk()})),
        ("its own under the issuer's name", with(&forge.header(), &[("jwk", own)])),
    ] {
        cases.push(case(name, Forged, THIEF.token(&header, claims)));
    }
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2020_26160_an_audience_is_compared_whatever_its_type() {
    let (world, _rules, stolen) = stolen().await;
    let mut cases = vec![case("authentic", Good, stolen.authentic.clone())];
    for aud in
        [json!([]), json!([""]), json!(["other"]), json!(""), json!(null), json!(0), json!([0]), json!({})]
    {
        // `/me` accepts tokens of every audience, if it is a valid one.
        if [json!(""), json!([""]), json!(["other"])].contains(&aud) {
            let answer = world.protected(stolen.claim("aud", aud)).await;
            answer.challenges(AUDIENCE, 401, "invalid_token", "The token is invalid", &[]);
        } else {
            cases.push(case(format!("aud {aud}"), Forged, stolen.claim("aud", aud)));
        }
    }
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2022_21449_a_signature_of_zeros_is_none() {
    let (world, _rules, stolen) = stolen().await;
    let Stolen { forge, claims, authentic } = &stolen;
    let mut cases = vec![case("authentic", Good, authentic.clone())];
    for (alg, length) in [("ES256", 64), ("ES384", 96), ("ES512", 132), ("RS256", 256)] {
        let message = message(with(&forge.header(), &[("alg", json!(alg))]).to_string(), claims.to_string());
        cases.push(case(alg, Forged, seal(&message, vec![0; length])));
    }
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2022_29217_the_public_key_is_no_secret_in_any_format() {
    let (world, _rules, stolen) = stolen().await;
    let Stolen { forge, claims, authentic } = &stolen;
    let mut cases = vec![case("authentic", Good, authentic.clone())];
    let message = message(with(&forge.header(), &[("alg", json!("HS256"))]).to_string(), claims.to_string());
    let mut forms = forge.key.public_forms();
    forms.push(("OpenSSH", openssh(&forge.key.modulus())));
    for (form, secret) in forms {
        cases.push(case(form, Forged, seal(&message, hmac("HS256", &secret, &message))));
    }
    try_everywhere(&world, cases).await;
    world.stop().await;
}

/// The public key in the format of `id_rsa.pub` (RFC 4253 §6.6).
fn openssh(modulus: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    for part in [b"ssh-rsa".as_slice(), &[1, 0, 1], &[&[0], modulus].concat()] {
        blob.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        blob.extend(part);
    }
    let standard = b64(blob).replace('-', "+").replace('_', "/");
    format!("ssh-rsa {standard}{}", "=".repeat((4 - standard.len() % 4) % 4)).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2022_36083_a_token_does_not_say_how_long_it_takes() {
    let (world, _rules, stolen) = stolen().await;
    let mut cases = vec![case("authentic", Good, stolen.authentic.clone())];
    for alg in ["PBES2-HS256+A128KW", "PBES2-HS384+A192KW", "PBES2-HS512+A256KW"] {
        let header = json!({
            "alg": alg, "enc": "A128GCM", "typ": "at+jwt", "kid": stolen.forge.kid, "p2c": 2_147_483_647, "p2s": b64([7; 16]),
        });
        let [key, iv, text, tag] = [24, 12, 400, 16].map(|length| b64(vec![7; length]));
        let jwe = format!("{}.{key}.{iv}.{text}.{tag}", b64(header.to_string()));
        cases.push(case(format!("{alg}, encrypted"), Forged, jwe));
        let signed = stolen.forge.with_header(&header, &stolen.claims);
        cases.push(case(format!("{alg}, signed"), Forged, signed));
    }
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2024_28180_nothing_is_unpacked() {
    let (world, _rules, stolen) = stolen().await;
    let mut cases = vec![case("authentic", Good, stolen.authentic.clone())];
    // 4 MiB of zeros, compressed by DEFLATE (RFC 1951).
    let head = vec![0xED, 0xC1, 0x01, 0x01, 0x00, 0x00, 0x00, 0x82, 0x20, 0xFF, 0xAF, 0x6E, 0x48, 0x40, 0x01];
    let bomb = [head, vec![0; 4_063], vec![0x7C, 0x1B]].concat();
    for (name, header) in [
        (
            "encrypted",
            json!({"alg": "RSA-OAEP-256", "enc": "A256GCM", "zip": "DEF", "kid": stolen.forge.kid}),
        ),
        ("as an access token", json!({"alg": "dir", "enc": "A256GCM", "zip": "DEF", "typ": "at+jwt"})),
    ] {
        let [key, iv, tag] = [256, 12, 16].map(|length| b64(vec![7; length]));
        let jwe = format!("{}.{key}.{iv}.{}.{tag}", b64(header.to_string()), b64(&bomb));
        cases.push(case(name, Forged, jwe));
    }
    let zipped = with(&stolen.forge.header(), &[("zip", json!("DEF"))]);
    cases.push(case("signed", Forged, stolen.forge.raw(zipped.to_string(), &bomb)));
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2024_53861_a_part_of_the_issuer_is_not_the_issuer() {
    let (world, _rules, stolen) = stolen().await;
    let mut cases = vec![case("authentic", Good, stolen.authentic.clone())];
    for iss in ["", "h", "http", "http://auth", "auth.test", "http://auth.tes", "://"] {
        assert!(ISSUER.contains(iss));
        cases.push(case(format!("iss {iss:?}"), Forged, stolen.claim("iss", json!(iss))));
    }
    cases.push(case("iss in an array", Forged, stolen.claim("iss", json!([ISSUER]))));
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2025_27144_a_token_of_dots_is_split_in_three_and_no_further() {
    let (world, _rules, stolen) = stolen().await;
    let mut cases = vec![case("authentic", Good, stolen.authentic.clone())];
    for dots in [1, 100, 7_000, 20_000] {
        cases.push(case(
            format!("{dots} dots behind it"),
            Forged,
            format!("{}{}", stolen.authentic, ".".repeat(dots)),
        ));
        cases.push(case(
            format!("{dots} dots before it"),
            Forged,
            format!("{}{}", ".".repeat(dots), stolen.authentic),
        ));
    }
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2025_30204_a_header_of_dots_is_no_token() {
    let (world, _rules, stolen) = stolen().await;
    let mut cases = vec![case("authentic", Good, stolen.authentic.clone())];
    for dots in [3, 8_192, 8_193, 30_000] {
        cases.push(case(format!("{dots} dots"), Forged, ".".repeat(dots)));
    }
    cases.push(case("1 MiB of dots", TooLarge, ".".repeat(1_048_576)));
    try_everywhere(&world, cases).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cve_2026_25537_a_claim_of_a_wrong_type_is_not_absent() {
    let (world, _rules, stolen) = stolen().await;
    let mut cases = vec![case("authentic", Good, stolen.authentic.clone())];
    let ahead: Value = json!(BEGINNING + 1_000_000);
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!(ahead.to_string()),
            json!(""),
            json!(true),
            json!([ahead]),
            json!({"at": ahead}),
            json!(null),
        ] {
            cases.push(case(format!("{name} {value}"), Forged, stolen.claim(name, value)));
        }
    }
    try_everywhere(&world, cases).await;
    world.stop().await;
}
