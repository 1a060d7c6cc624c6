//! TLS and client certificates on auth-service's ports, and certificates that are renewed while it runs.

use std::{fs, path::Path, time::Duration};

use countermark::issuer::introspection::IntrospectionError;
use reqwest::{Client, Version};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    World,
    process::{AUTH, Start},
    tls::{Authority, Leaf, builder, client, introspection, replace},
    until,
    world::ADMIN,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// auth-service with a certificate of `authority`, and the folder of its files.
async fn world(authority: &Authority, more: &[(&str, &str)]) -> (World, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let files = authority.server("first").write(folder.path());
    let mut settings: Vec<_> = files.iter().map(|(name, path)| (*name, path.as_str())).collect();
    settings.extend(more);
    (World::of_auth_alone(&settings).await, folder)
}

fn url(world: &World, path: &str) -> String {
    format!("https://{}{path}", world.auth().address)
}

async fn login(world: &World, client: &Client) -> Value {
    let body = json!({"email": ADMIN.0, "password": ADMIN.1}).to_string();
    let request = client.post(url(world, "/login")).header("content-type", "application/json").body(body);
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// Whether a new connection of `client` gets an answer.
async fn is_served(world: &World, client: &Client) -> bool {
    client.get(url(world, "/.well-known/jwks.json")).send().await.is_ok_and(|answer| answer.status() == 200)
}

fn written(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ports_speak_tls_to_clients_that_trust_the_certificate() {
    let authority = Authority::new("ours");
    let (world, _folder) = world(&authority, &[]).await;
    let tokens = login(&world, &client(&authority, None)).await;
    let access = tokens["access_token"].as_str().unwrap();
    let claims = introspection(world.auth_grpc, &authority, None).introspect(access).await.unwrap();
    assert_eq!(claims.unwrap().email.as_deref(), Some(ADMIN.0));
    // The client may choose either HTTP version.
    for (client, version) in [
        (builder(&authority, None), Version::HTTP_2),
        (builder(&authority, None).http1_only(), Version::HTTP_11),
        (builder(&authority, None).tls_version_max(reqwest::tls::Version::TLS_1_2), Version::HTTP_2),
    ] {
        let answer = client.build().unwrap().get(url(&world, "/.well-known/jwks.json")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
    }
    // The operations port has no TLS, because the health check has no certificates.
    world.auth_ops().get("/health/ready").await.is(200);

    let other = Authority::new("another");
    assert!(!is_served(&world, &client(&other, None)).await);
    let error = introspection(world.auth_grpc, &other, None).introspect(access).await.unwrap_err();
    assert!(
        matches!(&error, IntrospectionError::Unavailable(why) if why.contains("certificate")),
        "{error:?}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_no_tls_at_such_a_port_is_hung_up_on() {
    let authority = Authority::new("ours");
    let (world, _folder) = world(&authority, &[]).await;
    for address in [world.auth().address, world.auth_grpc] {
        for said in
            ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\0\0\0\0\0\0\0\0"]
        {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(said.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            // The connection ends without a reset.
            stream.read_to_end(&mut answer).await.expect("an end");
            // At most one TLS alert: content type 21 with two bytes of content.
            assert!(answer.is_empty() || answer.len() == 7 && answer[0] == 21, "{answer:?}");
        }
    }
    assert!(is_served(&world, &client(&authority, None)).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_asks_for_client_certificates_is_closed_to_who_has_none_of_theirs() {
    let (authority, clients, other) =
        (Authority::new("ours"), Authority::new("clients"), Authority::new("another"));
    let folder = tempfile::tempdir().unwrap();
    let ca = written(folder.path(), "clients.pem", &clients.root());
    let both = [("AUTH_HTTP_CLIENT_CA_FILE", &*ca), ("AUTH_GRPC_CLIENT_CA_FILE", &*ca)];
    let (world, _folder) = world(&authority, &both).await;
    // The world's clock shows 2027.
    let (good, short, foreign) = (clients.client(2028), clients.client(2027), other.client(2028));
    let access = login(&world, &client(&authority, Some(&good))).await["access_token"].to_string();
    let access = access.trim_matches('"');
    let ask =
        async |own: Option<&Leaf>| introspection(world.auth_grpc, &authority, own).introspect(access).await;
    assert!(ask(Some(&good)).await.unwrap().is_some());
    for (what, own) in
        [("none", None), ("one of others", Some(&foreign)), ("one that has expired", Some(&short))]
    {
        assert!(!is_served(&world, &client(&authority, own)).await, "{what}");
        let error = ask(own).await.unwrap_err();
        assert!(
            matches!(error, IntrospectionError::Unavailable(_) | IntrospectionError::DeadlineExceeded),
            "{what}: {error:?}"
        );
    }
    // A client with a cached TLS session that opens a new connection for each request.
    let known = builder(&authority, Some(&good)).pool_max_idle_per_host(0).build().unwrap();
    assert!(is_served(&world, &known).await && is_served(&world, &known).await);
    world.pass(Duration::from_secs(366 * 86_400));
    assert!(!is_served(&world, &client(&authority, Some(&good))).await, "it has expired, too");
    assert!(!is_served(&world, &known).await, "and no session of before lets it in");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_port_has_client_certificates_of_its_own() {
    let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
    let folder = tempfile::tempdir().unwrap();
    let ca = written(folder.path(), "clients.pem", &clients.root());
    let (world, _folder) = world(&authority, &[("AUTH_GRPC_CLIENT_CA_FILE", &ca)]).await;
    let tokens = login(&world, &client(&authority, None)).await;
    let access = tokens["access_token"].as_str().unwrap();
    introspection(world.auth_grpc, &authority, None).introspect(access).await.unwrap_err();
    let own = clients.client(2028);
    let claims = introspection(world.auth_grpc, &authority, Some(&own)).introspect(access).await.unwrap();
    assert!(claims.is_some());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_resource_server_shows_its_certificate_for_the_keys_and_for_revocations() {
    let (authority, clients) = (Authority::new("ours"), Authority::new("clients"));
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| written(folder.path(), name, text);
    let own = clients.client(2028);
    let files = authority.server("first").write(folder.path());
    let key = folder.path().join("own.key");
    replace(&key, &own.key, 0o600);
    let (ca, trusted) = (file("clients.pem", &clients.root()), file("ours.pem", &authority.root()));
    let shown = file("own.pem", &own.certificate);
    let mut settings: Vec<_> = files.iter().map(|(name, path)| (*name, path.as_str())).collect();
    settings.extend([
        ("AUTH_HTTP_CLIENT_CA_FILE", &*ca),
        ("AUTH_GRPC_CLIENT_CA_FILE", &*ca),
        ("RESOURCE_AUTH_CA_FILE", &*trusted),
        ("RESOURCE_CLIENT_CERT_FILE", &*shown),
        ("RESOURCE_CLIENT_KEY_FILE", key.to_str().unwrap()),
    ]);
    // It can start only with the issuer's keys.
    let world = World::with(&settings).await;
    let client = client(&authority, Some(&own));
    let tokens = login(&world, &client).await;
    let access = tokens["access_token"].as_str().unwrap();
    world.protected(access).await.is(200);
    let logout = client.post(url(&world, "/logout")).bearer_auth(access).send().await.unwrap();
    assert_eq!(logout.status(), 200);
    until("the resource server has received it", async || {
        (world.protected(access).await.status == 401).then_some(())
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn renewed_certificates_are_taken_up_without_a_restart_and_open_connections_go_on() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (world, folder) = world(&old, &[]).await;
    let (open, asking) = (client(&old, None), introspection(world.auth_grpc, &old, None));
    let tokens = login(&world, &open).await;
    let access = tokens["access_token"].as_str().unwrap();
    assert!(asking.introspect(access).await.unwrap().is_some());

    new.server("second").write(folder.path());
    until("the new certificate is shown", async || {
        is_served(&world, &client(&new, None)).await.then_some(())
    })
    .await;
    assert!(!is_served(&world, &client(&old, None)).await, "the old one is shown to nobody new");
    assert!(is_served(&world, &open).await, "an open connection goes on");
    assert!(asking.introspect(access).await.unwrap().is_some(), "over gRPC, too");
    let anew = introspection(world.auth_grpc, &new, None).introspect(access).await.unwrap();
    assert!(anew.is_some(), "the gRPC port shows it, too");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_keep_the_old_certificate_and_are_logged_once() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let folder = tempfile::tempdir().unwrap();
    let files = old.server("first").write(folder.path());
    let process = Start::of(AUTH)
        .within(folder.path())
        .envs(files.iter().map(|(name, path)| (*name, path.as_str())))
        .envs(["HTTP", "GRPC", "OPS"].map(|port| (format!("AUTH_{port}_ADDR"), "127.0.0.1:0")))
        .listen()
        .await;
    let url = format!("https://{}/.well-known/jwks.json", process.address("http"));
    let is_served = async |authority| {
        client(authority, None).get(&url).send().await.is_ok_and(|answer| answer.status() == 200)
    };
    assert!(is_served(&old).await);
    let (certificate, key) = (folder.path().join("server.pem"), folder.path().join("server.key"));
    let next = new.server("second");
    let logged = |what: &str| process.stderr().lines().filter(|line| line.contains(what)).count();
    for (what, does) in [
        ("can be read by others (mode 0644)", &(|| replace(&key, &next.key, 0o644)) as &dyn Fn()),
        ("can't be read", &|| fs::remove_file(&key).unwrap()),
        ("holds no private key", &|| replace(&key, &next.certificate, 0o600)),
        ("can't be used", &|| replace(&key, &next.key, 0o600)),
        ("holds no certificate", &|| replace(&certificate, "nothing", 0o644)),
    ] {
        does();
        // One line for each of the two ports.
        until(what, async || (logged(what) == 2).then_some(())).await;
        assert!(is_served(&old).await, "{what}");
    }
    replace(&certificate, &next.certificate, 0o644);
    until("the new certificate is shown", async || is_served(&new).await.then_some(())).await;
    assert_eq!(logged("the old certificate stays"), 10, "each once, however often it is looked at");
    let ended = process.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for line in next.key.lines().filter(|line| !line.starts_with("-----")) {
        assert!(!ended.stderr.contains(line), "a key is logged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_files_that_cannot_be_used_names_the_setting() {
    const CERT: &str = "AUTH_TLS_CERT_FILE";
    const KEY: &str = "AUTH_TLS_KEY_FILE";
    let authority = Authority::new("ours");
    let folder = tempfile::tempdir().unwrap();
    let leaf = authority.server("first");
    leaf.write(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = (path("server.pem"), path("server.key"));
    replace(Path::new(&path("open.key")), &leaf.key, 0o604);
    replace(Path::new(&path("group.key")), &leaf.key, 0o640);
    replace(Path::new(&path("other.key")), &authority.server("second").key, 0o600);
    replace(Path::new(&path("empty.pem")), "", 0o600);
    for (settings, says) in [
        (
            vec![(CERT, certificate.clone())],
            "AUTH_TLS_KEY_FILE: is not set, and AUTH_TLS_CERT_FILE is".to_owned(),
        ),
        (vec![(KEY, key.clone())], "AUTH_TLS_CERT_FILE: is not set, and AUTH_TLS_KEY_FILE is".to_owned()),
        (
            vec![("AUTH_GRPC_CLIENT_CA_FILE", certificate.clone())],
            "AUTH_GRPC_CLIENT_CA_FILE: needs AUTH_TLS_CERT_FILE".to_owned(),
        ),
        (
            vec![(CERT, certificate.clone()), (KEY, path("open.key"))],
            format!("AUTH_TLS_KEY_FILE: {:?} can be read by others (mode 0604)", path("open.key")),
        ),
        (
            vec![(CERT, certificate.clone()), (KEY, path("other.key"))],
            format!("AUTH_TLS_KEY_FILE: {:?} can't be used", path("other.key")),
        ),
        (
            vec![(CERT, path("empty.pem")), (KEY, key.clone())],
            format!("AUTH_TLS_CERT_FILE: {:?} holds no certificate", path("empty.pem")),
        ),
        (
            vec![(CERT, path("nothing.pem")), (KEY, key.clone())],
            format!("AUTH_TLS_CERT_FILE: {:?} can't be read", path("nothing.pem")),
        ),
        (
            vec![
                (CERT, certificate.clone()),
                (KEY, key.clone()),
                ("AUTH_HTTP_CLIENT_CA_FILE", path("empty.pem")),
            ],
            format!("AUTH_HTTP_CLIENT_CA_FILE: {:?} holds no certificate", path("empty.pem")),
        ),
    ] {
        let ended = Start::of(AUTH).within(folder.path()).envs(settings.clone()).end().await;
        assert_eq!(ended.code, Some(64), "{settings:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with(&says), "{settings:?}: {}", ended.stderr);
    }
    // The group may read the file, because mounted volumes add that permission.
    let group = [(CERT, certificate), (KEY, path("group.key"))];
    let process = Start::of(AUTH)
        .within(folder.path())
        .envs(group)
        .envs(["HTTP", "GRPC", "OPS"].map(|port| (format!("AUTH_{port}_ADDR"), "127.0.0.1:0")))
        .listen()
        .await;
    assert_eq!(process.stop().await.code, Some(0));
}
