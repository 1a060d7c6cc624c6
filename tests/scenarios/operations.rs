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
