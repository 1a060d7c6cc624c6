//! `POST /register`: people create accounts for themselves.

use std::future::IntoFuture as _;

use serde_json::{Value, json};
use tests::{Answer, World, world::ADMIN};

const NEW: (&str, &str) = ("new@example.com", "correct horse battery");

async fn register(world: &World, body: &Value) -> Answer {
    world.auth().post("/register").json(body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn registration_is_closed_unless_somebody_opens_it() {
    let closed = "Accounts are made by the operators of this service";
    let by_invitation =
        "An invitation is needed to make an account; ask the operators of this service for one";
    for (settings, msg) in [(&[][..], closed), (&[("AUTH_REGISTRATION", "invite")], by_invitation)] {
        let world = World::with(settings).await;
        for email in [NEW.0, ADMIN.0] {
            let answer = register(&world, &json!({"email": email, "password": NEW.1})).await;
            answer.refuses(403, "registration_closed", msg);
        }
        let answer = register(&world, &json!({"email": NEW.0, "password": NEW.1, "invite": "inv_x"})).await;
        assert_eq!((answer.status, &answer.json()["error"]), (403, &json!("registration_closed")));
        world.try_login(NEW).await.refuses(401, "bad_credentials", "Bad email or password");
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_somebody_made_can_log_in_and_has_no_roles() {
    let world = World::with(&[("AUTH_REGISTRATION", "open")]).await;
    let answer = register(&world, &json!({"email": " New@EXAMPLE.com ", "password": NEW.1})).await.is(201);
    let names: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((names, &answer["email"]), (vec!["email", "id"], &json!(NEW.0)));

    let claims = world.login_as(NEW).await.claims();
    assert_eq!((&claims["sub"], &claims["email"]), (&answer["id"], &json!(NEW.0)));
    assert_eq!(claims.get("roles"), None);
    let me = world.auth().get("/me").bearer(world.login_as(NEW).await.access).await.is(200);
    assert_eq!((&me["id"], &me["roles"]), (&answer["id"], &json!([])));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_belongs_to_one_account_in_every_spelling() {
    let world = World::with(&[("AUTH_REGISTRATION", "open")]).await;
    register(&world, &json!({"email": NEW.0, "password": NEW.1})).await.is(201);
    for email in [NEW.0, "NEW@example.com", "\tnew@example.com\n", "ｎｅｗ@example.com", ADMIN.0] {
        let answer = register(&world, &json!({"email": email, "password": "another pass phrase"})).await;
        answer.refuses(409, "email_taken", "There is an account with this email address");
    }
    world.login_as(NEW).await;
    world.login().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_costs_the_same_hash_as_one_that_is_free() {
    let settings = [("AUTH_REGISTRATION", "open"), ("AUTH_HASH_SLOTS", "1"), ("AUTH_HASH_QUEUE", "1")];
    let world = World::with(&settings).await;
    for (status, email) in [(201, None), (409, Some(ADMIN.0))] {
        let tries = (0..64).map(|number| {
            let email = email.map_or_else(|| format!("new{number}@example.com"), str::to_owned);
            let ask = world.auth().post("/register").json(&json!({"email": email, "password": NEW.1}));
            tokio::spawn(ask.into_future())
        });
        let (mut answered, mut refused) = (0, 0);
        for answer in tries.collect::<Vec<_>>() {
            let answer = answer.await.unwrap();
            if answer.status == status {
                answered += 1;
            } else {
                // No slot was free to hash the password. So the answer "taken" also needs a slot.
                answer.is_unavailable();
                refused += 1;
            }
        }
        assert!(answered > 0 && refused > 0, "{status}: {answered}, 503: {refused}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_whether_an_address_is_taken_counts_in_the_limits() {
    let limits = ("AUTH_LOGIN_LIMITS", "account=off,address=2/min");
    let proxies = ("AUTH_TRUSTED_PROXIES", "127.0.0.0/8");
    let world = World::with(&[limits, proxies, ("AUTH_REGISTRATION", "open")]).await;
    let from = |address: &'static str, email: &str| {
        let body = json!({"email": email, "password": NEW.1});
        world.auth().post("/register").header("x-forwarded-for", address).json(&body)
    };
    for _ in 0..2 {
        from("203.0.113.1", ADMIN.0).await.refuses(
            409,
            "email_taken",
            "There is an account with this email address",
        );
    }
    // The limit applies to taken and free addresses.
    for email in [ADMIN.0, NEW.0] {
        let answer = from("203.0.113.1", email).await;
        answer.refuses(429, "too_many_requests", "Too many tries; wait a little");
        assert_eq!(answer.header("retry-after"), Some("30"));
    }
    from("203.0.113.2", NEW.0).await.is(201);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_want_one_address_one_gets_it() {
    let world = World::with(&[("AUTH_REGISTRATION", "open")]).await;
    let tries = (0..8).map(|number| {
        let body = json!({"email": NEW.0, "password": format!("pass phrase {number}")});
        tokio::spawn(world.auth().post("/register").json(&body).into_future())
    });
    let mut statuses = Vec::new();
    for answer in tries.collect::<Vec<_>>() {
        statuses.push(answer.await.unwrap().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_looks_like_one() {
    let world = World::with(&[("AUTH_REGISTRATION", "open")]).await;
    let long =
        [format!("{}@example.com", "x".repeat(65)), format!("x@{}", "y".repeat(253)), "x".repeat(9_000)];
    let bad = ["", "@", "x", "x@", "@example.com", "a b@example.com", "a@b@c", "a@b c", "a\0@b", "a@b\r\n"];
    for email in bad.into_iter().filter(|email| email.trim() == *email).chain(long.iter().map(String::as_str))
    {
        let answer = register(&world, &json!({"email": email, "password": NEW.1})).await;
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_email")), "{email:?}");
        assert!(answer.json()["msg"].as_str().unwrap().contains("email address"), "{answer:?}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_an_address_that_looks_like_anothers() {
    let world = World::with(&[("AUTH_REGISTRATION", "open"), ("AUTH_LOGIN_LIMITS", "off")]).await;
    for c in [
        '\u{ad}',
        '\u{34f}',
        '\u{61c}',
        '\u{180e}',
        '\u{200b}',
        '\u{200c}',
        '\u{200d}',
        '\u{200e}',
        '\u{200f}',
        '\u{202a}',
        '\u{202d}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{3164}',
        '\u{fe0f}',
        '\u{feff}',
        '\u{e0061}',
        '\u{e000}',
        '\u{378}',
        '\u{7}',
        '\u{85}',
        '\u{2028}',
        '\u{2800}',
    ] {
        let email = format!("te{c}st@example.com");
        let answer = register(&world, &json!({"email": email, "password": NEW.1})).await;
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_email")), "{email:?}");
        let number = format!("U+{:04X}", u32::from(c));
        assert!(answer.json()["msg"].as_str().unwrap().contains(&number), "{answer:?}");
    }
    for email in [
        "tеst@example.com",
        "tesτ@example.com",
        "test@exаmple.com",
        "сосо@example.com",
        "a@xn--80ak6aa92e.com",
    ] {
        let answer = register(&world, &json!({"email": email, "password": NEW.1})).await;
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("invalid_email")), "{email:?}");
    }
    for (email, canonical) in [
        ("иван@example.com", "иван@example.com"),
        ("山田タロウ@example.com", "山田タロウ@example.com"),
        ("a@XN--MNCHEN-3YA.de", "a@münchen.de"),
    ] {
        let made = register(&world, &json!({"email": email, "password": NEW.1})).await.is(201);
        assert_eq!(made["email"], json!(canonical));
    }
    // The two forms of a domain are one address.
    for email in ["a@münchen.de", "A@MÜNCHEN.DE", "a@mu\u{308}nchen.de", "a@xn--mnchen-3ya.de"] {
        let answer = register(&world, &json!({"email": email, "password": "another pass phrase"})).await;
        answer.refuses(409, "email_taken", "There is an account with this email address");
        world.login_as((email, NEW.1)).await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_has_8_to_1024_bytes_and_all_of_them_count() {
    let world = World::with(&[("AUTH_REGISTRATION", "open")]).await;
    let too_long = "x".repeat(1_025);
    for password in ["", "1234567", "äöü", too_long.as_str()] {
        let answer = register(&world, &json!({"email": NEW.0, "password": password})).await;
        answer.refuses(400, "invalid_request", "The password must have 8 to 1024 bytes");
    }
    let longest = "correct horse battery staple, ".repeat(35)[..1_024].to_owned();
    for (email, password) in
        [("a@example.com", "k7#mQ2$v"), ("b@example.com", "äöüß"), ("c@example.com", longest.as_str())]
    {
        register(&world, &json!({"email": email, "password": password})).await.is(201);
        world.login_as((email, password)).await;
    }
    let cut = &longest[..1_023];
    world.try_login(("c@example.com", cut)).await.refuses(401, "bad_credentials", "Bad email or password");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_an_address_and_a_password_can_be_set() {
    let world = World::with(&[("AUTH_REGISTRATION", "open")]).await;
    for (name, value) in [("roles", json!(["admin"])), ("id", json!("0")), ("disabled_at", json!(null))] {
        let body = json!({"email": NEW.0, "password": NEW.1, name: value});
        register(&world, &body).await.is_invalid_request(&format!("unknown field `{name}`"));
    }
    register(&world, &json!({"email": NEW.0})).await.is_invalid_request("missing field `password`");
    register(&world, &json!({"password": NEW.1})).await.is_invalid_request("missing field `email`");
    register(&world, &json!([NEW.0, NEW.1])).await.is_invalid_request("must be an object");
    let answer = world.auth().post("/register").body("text/plain", "x").await;
    answer.refuses(400, "invalid_request", "Missing JSON in request");
    world.try_login(NEW).await.refuses(401, "bad_credentials", "Bad email or password");
    world.stop().await;
}
