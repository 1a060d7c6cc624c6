//! The operations ports: liveness, readiness and metrics.

use serde_json::json;
use tests::{Http, World, until, world::ADMIN};

#[tokio::test(flavor = "multi_thread")]
async fn both_services_say_that_they_live_and_are_ready() {
    let world = World::new().await;
    for ops in [world.auth_ops(), world.resource_ops()] {
        assert_eq!(ops.get("/health/live").await.is(200), json!({"status": "live"}));
        assert_eq!(ops.get("/health/ready").await.is(200)["status"], "ready");
        ops.get("/login").await.refuses(404, "not_found", "There is nothing here");
    }
    // The public ports do not have these routes.
    for public in [world.auth(), world.resource()] {
        for path in ["/health/live", "/health/ready", "/metrics"] {
            public.get(path).await.refuses(404, "not_found", "There is nothing here");
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_database_is_gone_is_alive_but_not_ready() {
    let world = World::new().await;
    for (ops, database) in [(world.auth_ops(), "auth.db"), (world.resource_ops(), "resource.db")] {
        let (there, away) = (world.path(database), world.path("away"));
        std::fs::rename(&there, &away).unwrap();
        ops.get("/health/live").await.is(200);
        let answer = ops.get("/health/ready").await.is(503);
        assert_eq!(answer["status"], "not ready");
        assert!(answer["reason"].is_string(), "{answer}");
        std::fs::rename(&away, &there).unwrap();
        // The failed write is retried first.
        until("it is ready again", async || (ops.get("/health/ready").await.status == 200).then_some(()))
            .await;
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted_by_route_and_never_by_what_came_in_them() {
    let world = World::new().await;
    let tokens = world.login().await;
    world.try_login((ADMIN.0, "wrong-password-wrong")).await;
    world.protected(&tokens.access).await.is(200);
    world.resource().get("/documents/some-secret-id").bearer(&tokens.access).await;
    for number in 0..3 {
        world.resource().get(&format!("/nowhere/{number}")).await;
        world.auth().get(&format!("/nowhere/{number}?access_token={}", tokens.access)).await;
    }
    let auth = metrics(world.auth_ops()).await;
    let resource = metrics(world.resource_ops()).await;
    let counted = |metrics: &str, labels: [&str; 4]| {
        metrics
            .lines()
            .find(|line| {
                line.starts_with("countermark_http_requests_total{")
                    && labels[..3].iter().all(|label| line.contains(label))
            })
            .unwrap_or_else(|| panic!("{labels:?} in {metrics}"))
            .ends_with(labels[3])
    };
    let labels = |route, method, status, count| [route, method, status, count];
    assert!(counted(&auth, labels(r#"route="/login""#, r#"method="POST""#, r#"status="2xx""#, " 1")));
    assert!(counted(&auth, labels(r#"route="/login""#, r#"method="POST""#, r#"status="4xx""#, " 1")));
    assert!(counted(&auth, labels(r#"route="none""#, r#"method="GET""#, r#"status="4xx""#, " 3")));
    assert!(counted(
        &resource,
        labels(r#"route="/protected-route""#, r#"method="GET""#, r#"status="2xx""#, " 1")
    ));
    assert!(counted(
        &resource,
        labels(r#"route="/documents/{id}""#, r#"method="GET""#, r#"status="4xx""#, " 1")
    ));
    assert!(counted(&resource, labels(r#"route="none""#, r#"method="GET""#, r#"status="4xx""#, " 3")));
    for secret in
        [&tokens.access, &tokens.refresh, ADMIN.0, ADMIN.1, "wrong-password-wrong", "some-secret-id"]
    {
        assert!(!auth.contains(secret) && !resource.contains(secret), "{secret}");
    }
    world.stop().await;
}

async fn metrics(ops: &Http) -> String {
    let answer = ops.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(answer.text().ends_with("# EOF\n"));
    assert!(answer.text().contains("countermark_http_request_duration_seconds_bucket"));
    answer.text().to_owned()
}

/// The value of a metric without labels, or with exactly these.
fn value(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("no {name} in {metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn shows(metrics: &str, line: &str) -> bool {
    metrics.lines().any(|shown| shown.trim_end_matches(".0") == line)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_say_how_the_process_its_database_and_its_passwords_are_and_count_thefts() {
    let world = World::new().await;
    world.protected(&world.login().await.access).await.is(200);
    for ops in [world.auth_ops(), world.resource_ops()] {
        let text = metrics(ops).await;
        assert!(value(&text, "countermark_process_resident_memory_bytes") > 1e6);
        assert!(value(&text, "countermark_process_open_fds") > 3.0);
        assert!(value(&text, "countermark_process_start_time_seconds") > 1.7e9);
        assert!(value(&text, "countermark_process_cpu_seconds_total") >= 0.0);
        assert!(value(&text, "countermark_database_size_bytes") >= 4_096.0);
        assert!(shows(&text, "countermark_database_commits_failed_total 0"));
        assert!(!text.contains("certificate_expiry"), "these ports show no certificate");
    }
    let before = metrics(world.auth_ops()).await;
    assert!(shows(&before, "countermark_refresh_token_thefts_total 0"));
    assert!(shows(&before, r#"countermark_hashing_jobs{state="waiting"} 0"#));
    let tokens = world.login().await;
    let next = world.refresh(&tokens.refresh).await;
    world.refresh(&next.refresh).await;
    world.try_refresh(&tokens.refresh).await.is(401);
    world.try_refresh(&tokens.refresh).await.is(401);
    let after = metrics(world.auth_ops()).await;
    assert!(shows(&after, "countermark_refresh_token_thefts_total 1"), "the session ends once");
    let commits = "countermark_database_commits_total";
    assert!(value(&after, commits) > value(&before, commits) + 2.0);
    assert!(value(&after, "countermark_database_log_size_bytes") > 0.0);
    world.stop().await;
}
