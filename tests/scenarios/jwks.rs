//! `GET /.well-known/jwks.json`: the public keys, without private parts.

use std::collections::BTreeSet;

use serde_json::json;
use tests::{
    Answer, World,
    jws::{b64, header, sha256, unb64},
    until,
};

const JWKS: &str = "/.well-known/jwks.json";

/// The key set after the next key was published. From then on it does not change.
async fn whole(world: &World) -> Answer {
    until("two keys", async || {
        let answer = world.auth().get(JWKS).await;
        (answer.is(200)["keys"].as_array().unwrap().len() == 2).then_some(answer)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_set_has_the_key_that_tokens_name_and_its_public_half_only() {
    let world = World::new().await;
    let answer = whole(&world).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let set = answer.is(200);
    assert_eq!(set.as_object().unwrap().keys().collect::<Vec<_>>(), ["keys"]);
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2, "the one that signs, and the next");
    for key in keys {
        let members: BTreeSet<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, BTreeSet::from(["alg", "e", "kid", "kty", "n", "use"]));
        let expected = ("RSA", "RS256", "sig", "AQAB");
        let found = ["kty", "alg", "use", "e"].map(|name| key[name].as_str().unwrap());
        assert_eq!((found[0], found[1], found[2], found[3]), expected);
        let modulus = unb64(key["n"].as_str().unwrap());
        assert_eq!((modulus.len(), modulus[0] >> 7), (256, 1), "2048 bits");
        // RFC 7638 §3: the required members, sorted by name, without blanks.
        let canonical = format!(r#"{{"e":"AQAB","kty":"RSA","n":{}}}"#, key["n"]);
        assert_eq!(key["kid"], json!(b64(sha256(canonical.as_bytes()))));
    }
    let kid = &header(&world.login().await.access)["kid"];
    assert!(keys.iter().any(|key| key["kid"] == *kid));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_set_may_be_kept_and_asked_for_again_by_its_tag() {
    let world = World::new().await;
    let whole = whole(&world).await;
    assert_eq!(whole.header("cache-control"), Some("public, max-age=300"));
    let etag = whole.header("etag").expect("ETag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 10, "a strong tag: {etag}");

    let current = [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()];
    for tags in current {
        let answer = world.auth().get(JWKS).header("if-none-match", &tags).await;
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{tags}: {answer:?}");
        assert_eq!(answer.header("etag"), Some(etag.as_str()));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    }
    for tags in ["\"other\"", "", "x", "W/\"\""] {
        let answer = world.auth().get(JWKS).header("if-none-match", tags).await;
        assert_eq!((answer.status, &answer.body), (200, &whole.body), "{tags}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_the_key_set_may_be_kept_is_a_setting() {
    let world = World::with(&[("AUTH_JWKS_MAX_AGE", "1h")]).await;
    assert_eq!(world.auth().get(JWKS).await.header("cache-control"), Some("public, max-age=3600"));
    world.stop().await;
}
