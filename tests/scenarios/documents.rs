//! `/documents`: the caller's own documents, protected by scopes.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use tests::{
    Answer, World,
    forge::{with, without},
    http::Ask,
    world::{AUDIENCE, PLAIN},
};

const GONE: &str = "You have no such document";

async fn create(world: &World, token: &str, title: &str) -> Value {
    let body = json!({"title": title, "body": "text"});
    world.resource().post("/documents").bearer(token).json(&body).await.is(201)
}

fn path(document: &Value) -> String {
    format!("/documents/{}", document["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_made_read_replaced_and_removed() {
    let world = World::new().await;
    let token = world.login().await.access;
    let http = world.resource();
    let answer = http.post("/documents").bearer(&token).json(&json!({"title": "One", "body": "äöü"})).await;
    let made = answer.is(201);
    assert_eq!(answer.header("location"), Some(path(&made).as_str()));
    let expected = json!({
        "id": made["id"], "title": "One", "body": "äöü",
        "created_at": "2027-01-15T08:00:00Z", "updated_at": "2027-01-15T08:00:00Z",
    });
    assert_eq!(made, expected);
    assert_eq!(http.get(&path(&made)).bearer(&token).await.is(200), made);

    world.pass(Duration::from_secs(61));
    let change = json!({"title": "Two", "body": ""});
    let changed = http.put(&path(&made)).bearer(&token).json(&change).await.is(200);
    let members =
        [("title", json!("Two")), ("body", json!("")), ("updated_at", json!("2027-01-15T08:01:01Z"))];
    assert_eq!(changed, with(&made, &members));
    let list = http.get("/documents").bearer(&token).await;
    assert_eq!(list.header("cache-control"), Some("no-store"));
    assert_eq!(list.is(200), json!({"items": [changed], "next": null}));

    let removed = http.delete(&path(&made)).bearer(&token).await;
    assert_eq!((removed.status, removed.body.len()), (204, 0));
    http.get(&path(&made)).bearer(&token).await.refuses(404, "not_found", GONE);
    http.delete(&path(&made)).bearer(&token).await.refuses(404, "not_found", GONE);
    http.put(&path(&made)).bearer(&token).json(&change).await.refuses(404, "not_found", GONE);
    assert_eq!(http.get("/documents").bearer(&token).await.is(200), json!({"items": [], "next": null}));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_one_another_and_miss_nothing() {
    let world = World::new().await;
    let token = world.login().await.access;
    let list = async |query: &str| world.resource().get(&format!("/documents{query}")).bearer(&token).await;
    let mut made = Vec::new();
    for number in 0..25 {
        made.push(create(&world, &token, &number.to_string()).await["id"].clone());
    }
    let ids = |page: &Value| {
        page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect::<Vec<_>>()
    };

    let first = list("").await.is(200);
    assert_eq!(ids(&first), made[..20], "twenty at a time, the oldest first");
    assert_eq!(first["next"], made[19]);
    let next = |page: &Value| page["next"].as_str().unwrap().to_owned();
    let second = list(&format!("?after={}", next(&first))).await.is(200);
    assert_eq!((ids(&second), &second["next"]), (made[20..].to_vec(), &json!(null)));

    let (mut seen, mut query) = (Vec::new(), "?limit=7".to_owned());
    loop {
        let page = list(&query).await.is(200);
        seen.extend(ids(&page));
        if page["next"].is_null() {
            break;
        }
        query = format!("?limit=7&after={}", next(&page));
    }
    assert_eq!(seen, made);
    assert_eq!(ids(&list("?limit=100").await.is(200)).len(), 25);
    assert_eq!(ids(&list("?limit=25").await.is(200)).len(), 25);
    assert_eq!(list("?limit=25").await.is(200)["next"], json!(null));
    // A deleted document still marks its position in the list.
    let after = made[3].as_str().unwrap();
    world.resource().delete(&format!("/documents/{after}")).bearer(&token).await;
    assert_eq!(ids(&list(&format!("?after={after}&limit=1")).await.is(200)), made[4..5]);

    for limit in ["0", "101", "-1", "+5", "x", "1.5", "99999999999999999999", ""] {
        list(&format!("?limit={limit}")).await.is_invalid_request("limit must be a number from 1 to 100");
    }
    for after in ["x", "1", "00000000-0000-0000-0000-00000000000G", "' OR 1=1 --"] {
        list(&format!("?after={}", after.replace(' ', "%20"))).await.is_invalid_request("after must be");
    }
    list("?limit=1&limit=2").await.is_invalid_request("once");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_document_is_as_good_as_none() {
    let world = World::new().await;
    let (mine, theirs) = (world.login().await.access, world.login_as(PLAIN).await.access);
    let document = create(&world, &mine, "mine").await;
    let http = world.resource();
    let change = json!({"title": "theirs", "body": ""});
    let nowhere = "/documents/00000000-0000-7000-8000-000000000000";
    for path in [path(&document).as_str(), nowhere, "/documents/x", "/documents/%00", "/documents/..%2f1"] {
        let refused = |answer: Answer| answer.refuses(404, "not_found", GONE);
        refused(http.get(path).bearer(&theirs).await);
        refused(http.put(path).bearer(&theirs).json(&change).await);
        refused(http.delete(path).bearer(&theirs).await);
    }
    assert_eq!(http.get("/documents").bearer(&theirs).await.is(200), json!({"items": [], "next": null}));
    assert_eq!(http.get(&path(&document)).bearer(&mine).await.is(200), document);
    let upper = path(&document).to_uppercase().replace("/DOCUMENTS", "/documents");
    http.get(&upper).bearer(&mine).await.refuses(404, "not_found", GONE);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_and_writing_each_need_a_scope_of_their_own() {
    let world = World::new().await;
    let (forge, claims) = (world.forge(), world.login().await.claims());
    let document = create(&world, &forge.token(&claims), "x").await;
    let path = path(&document);
    let scoped = |scope: &str| forge.token(&with(&claims, &[("scope", json!(scope))]));
    let (read, write) = (scoped("documents:read"), scoped("documents:write"));
    let none =
        [forge.token(&without(&claims, "scope")), scoped(""), scoped("documents"), scoped("Documents:Read")];
    let http = world.resource();
    let body = json!({"title": "t", "body": "b"});
    let reads =
        |token: &str| -> [Ask; 2] { [http.get("/documents").bearer(token), http.get(&path).bearer(token)] };
    let writes = |token: &str| -> [Ask; 3] {
        [
            http.post("/documents").bearer(token).json(&body),
            http.put(&path).bearer(token).json(&body),
            http.delete(&path).bearer(token),
        ]
    };
    let lacks = |answer: &Answer, scope: &str| {
        let msg = format!("The token lacks the scope {scope}");
        answer.challenges(AUDIENCE, 403, "insufficient_scope", &msg, &[("scope", scope)]);
    };
    for token in none.iter().chain([&write]) {
        for ask in reads(token) {
            lacks(&ask.await, "documents:read");
        }
    }
    for token in none.iter().chain([&read]) {
        for ask in writes(token) {
            lacks(&ask.await, "documents:write");
        }
    }
    for ask in reads(&read) {
        ask.await.is(200);
    }
    let mut statuses = BTreeSet::new();
    for ask in writes(&write) {
        statuses.insert(ask.await.status);
    }
    assert_eq!(statuses, BTreeSet::from([200, 201, 204]));
    // No other route requires a scope.
    for route in ["/protected-route", "/optional", "/fresh", "/claims", "/admin"] {
        http.get(route).bearer(&none[0]).await.is(200);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_has_a_title_and_a_body_of_bounded_size() {
    let world = World::new().await;
    let token = world.login().await.access;
    let document = create(&world, &token, "x").await;
    let (title, body) = ("ä".repeat(200), "x".repeat(10_000));
    let http = world.resource();
    let asks = |body: &Value| {
        [
            http.post("/documents").bearer(&token).json(body),
            http.put(&path(&document)).bearer(&token).json(body),
        ]
    };
    for (body, what) in [
        (json!({"title": "", "body": ""}), "title must have 1 to 200 characters"),
        (json!({"title": format!("{title}ä"), "body": ""}), "title must have 1 to 200 characters"),
        (json!({"title": "t", "body": format!("{body}x")}), "body must have at most 10000 bytes"),
        (json!({"title": "t"}), "missing field `body`"),
        (json!({"body": "b"}), "missing field `title`"),
        (json!({"title": "t", "body": "b", "id": "x"}), "unknown field `id`"),
        (json!({"title": "t", "body": "b", "owner": "x"}), "unknown field `owner`"),
        (json!({"title": 1, "body": "b"}), ""),
        (json!({"title": null, "body": "b"}), ""),
        (json!(["t", "b"]), "must be an object"),
        (json!("t"), ""),
    ] {
        for ask in asks(&body) {
            ask.await.is_invalid_request(what);
        }
    }
    for ask in asks(&json!({"title": title, "body": body})) {
        let answer = ask.await;
        assert!([200, 201].contains(&answer.status), "{answer:?}");
        assert_eq!(answer.json()["title"], json!(title));
    }
    let plain = http.post("/documents").bearer(&token).body("text/plain", "x").await;
    plain.refuses(400, "invalid_request", "Missing JSON in request");
    // The token is checked before the body is parsed.
    http.post("/documents").body("text/plain", "x").await.misses_a_token(AUDIENCE);
    world.stop().await;
}
