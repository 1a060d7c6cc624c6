use super::*;

fn parse(pairs: &[(&str, &str)]) -> Result<Config, SettingError> {
    let settings = Settings::from_pairs(SETTINGS, pairs.iter().copied())?;
    log(&settings)?;
    Config::parse(&settings)
}

#[test]
fn every_default_is_the_contracts() {
    let config = parse(&[]).unwrap();
    assert_eq!(config.http_addr.to_string(), "127.0.0.1:8081");
    assert_eq!(config.ops_addr.to_string(), "127.0.0.1:9081");
    assert_eq!(config.issuer.as_str(), "http://localhost:8080");
    assert_eq!(config.audience.as_str(), "resource-service");
    assert_eq!(config.auth_url.as_str(), "http://localhost:8080/");
    assert!(config.auth_grpc.is_none() && config.client.is_none());
    assert_eq!(config.database, "sqlite://data/resource.db".parse().unwrap());
    assert_eq!(config.leeway, Duration::ZERO);
    assert_eq!(config.token_locations, [Location::Header]);
    assert_eq!(config.jwks_cooldown, Duration::from_secs(10));
    assert_eq!(config.jwks_timeout, Duration::from_secs(3));
    assert_eq!(config.stale_after, Duration::from_secs(5));
    assert_eq!(config.stale_policy, StalePolicy::Allow);
    assert_eq!(config.bundle_file, PathBuf::from("data/verifier.bundle"));
    assert_eq!(config.bundle_ttl, Duration::from_hours(24));
    assert_eq!(config.trusted_proxies, TrustedProxies::default());
    assert!(config.cors_origins.is_empty() && config.forward_auth.is_none() && config.jwks_proxy.is_none());
}

#[test]
fn a_bad_setting_is_named() {
    for (name, value) in [
        ("RESOURCE_HTTP_ADDR", "8081"),
        ("RESOURCE_OPS_ADDR", ""),
        ("RESOURCE_ISSUER", "http://localhost:8080/"),
        ("RESOURCE_ISSUER", "http://user@localhost"),
        ("RESOURCE_ISSUER", "localhost:8080"),
        ("RESOURCE_AUDIENCE", "a,b"),
        ("RESOURCE_AUDIENCE", "a\nb"),
        ("RESOURCE_AUTH_URL", "auth-service:8080"),
        ("RESOURCE_AUTH_URL", "http://auth-service?x"),
        ("RESOURCE_AUTH_GRPC", "auth-service:50051"),
        ("RESOURCE_AUTH_GRPC", "http://auth-service:50051/v1"),
        ("RESOURCE_CLIENT_SECRET_FILE", "/nowhere/secret"),
        ("RESOURCE_DATABASE_URL", "postgres://x/y"),
        ("RESOURCE_LEEWAY", "11m"),
        ("RESOURCE_LEEWAY", "-1s"),
        ("RESOURCE_TOKEN_LOCATIONS", "header,body"),
        ("RESOURCE_TOKEN_LOCATIONS", "header,header"),
        ("RESOURCE_TOKEN_LOCATIONS", "header,"),
        ("RESOURCE_JWKS_COOLDOWN", "10"),
        ("RESOURCE_JWKS_TIMEOUT", "0s"),
        ("RESOURCE_JWKS_PROXY", "proxy:3128"),
        ("RESOURCE_JWKS_PROXY", "http://user:password@proxy:3128"),
        ("RESOURCE_JWKS_PROXY", "http://proxy:3128/path"),
        ("RESOURCE_STALE_AFTER", "0s"),
        ("RESOURCE_STALE_POLICY", "Deny"),
        ("RESOURCE_BUNDLE_FILE", ""),
        ("RESOURCE_BUNDLE_TTL", "soon"),
        ("RESOURCE_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("RESOURCE_CORS_ORIGINS", "*"),
        ("RESOURCE_FORWARD_AUTH_RULES", "/nowhere/rules.toml"),
        ("RESOURCE_FORWARD_AUTH_RULES", "Cargo.toml"),
        ("RESOURCE_LOG", "info=x=y"),
    ] {
        let error = parse(&[(name, value)]).err().unwrap_or_else(|| panic!("{name}={value} was accepted"));
        assert_eq!(error.name, name, "{error}");
    }
}

#[test]
fn client_id_and_secret_go_together() {
    let error = parse(&[("RESOURCE_CLIENT_ID", "resource-service")]).unwrap_err();
    assert_eq!(error.name, "RESOURCE_CLIENT_SECRET_FILE");
    let error = parse(&[("RESOURCE_CLIENT_SECRET", "s3cret")]).unwrap_err();
    assert_eq!(error.name, "RESOURCE_CLIENT_ID");
    let both = [("RESOURCE_CLIENT_ID", "resource-service"), ("RESOURCE_CLIENT_SECRET", "s3cret")];
    let config = parse(&both).unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
    assert_eq!(config.client.unwrap().secret.expose(), "s3cret");
}

#[test]
fn a_stream_needs_to_know_who_watches_and_a_policy_needs_a_stream() {
    let grpc = ("RESOURCE_AUTH_GRPC", "http://auth-service:50051");
    assert_eq!(parse(&[grpc]).unwrap_err().name, "RESOURCE_CLIENT_ID");
    let client = [("RESOURCE_CLIENT_ID", "resource-service"), ("RESOURCE_CLIENT_SECRET", "s3cret")];
    let config = parse(&[grpc, client[0], client[1], ("RESOURCE_STALE_POLICY", "deny")]).unwrap();
    assert_eq!(config.stale_policy, StalePolicy::Deny);
    assert_eq!(config.auth_grpc.unwrap().as_str(), "http://auth-service:50051/");
    for policy in ["deny", "introspect"] {
        let alone = parse(&[("RESOURCE_STALE_POLICY", policy)]).unwrap_err();
        assert_eq!(alone.name, "RESOURCE_STALE_POLICY");
    }
}

#[test]
fn keys_come_from_where_the_issuer_is_reached() {
    let config = parse(&[("RESOURCE_AUTH_URL", "http://auth-service:8080/base/")]).unwrap();
    assert_eq!(config.auth_url.as_str(), "http://auth-service:8080/base/");
    assert_eq!(config.issuer.as_str(), "http://localhost:8080");
}
