use std::io::Write;

use super::*;

const DECLARED: &[Setting] = &[
    Setting::optional("AUTH_CONFIG_FILE", "The file"),
    Setting::new("AUTH_ACCESS_TTL", "15m", "How long"),
    Setting::optional("AUTH_CORS_ORIGINS", "Who"),
    Setting::optional("AUTH_PEPPER", "A secret").secret(),
];

fn from(flags: &[&str], env: &[(&str, &str)]) -> Result<Settings, SettingError> {
    let program = with_settings(Command::new("auth").subcommand(Command::new("doctor")), DECLARED);
    let matches = program.try_get_matches_from([&["auth"], flags].concat()).unwrap();
    let env = |name: &str| env.iter().find(|pair| pair.0 == name).map(|pair| pair.1.into());
    Settings::collect(DECLARED, &matches, &[], env)
}

fn file(text: &str) -> (tempfile::NamedTempFile, String) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    (file, path)
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let (_kept, path) = file("auth_access_ttl = '2m'\nAUTH_CORS_ORIGINS = ['https://a', 'https://b']");
    let minutes = |flags: &[&str], env: &[(&str, &str)]| {
        from(flags, env).unwrap().duration("AUTH_ACCESS_TTL").unwrap().as_secs() / 60
    };
    let file = ("AUTH_CONFIG_FILE", path.as_str());
    assert_eq!(minutes(&[], &[]), 15);
    assert_eq!(minutes(&[], &[file]), 2);
    assert_eq!(minutes(&[], &[file, ("AUTH_ACCESS_TTL", "3m")]), 3);
    assert_eq!(minutes(&["--auth-access-ttl", "4m"], &[file, ("AUTH_ACCESS_TTL", "3m")]), 4);
    assert_eq!(minutes(&["doctor", "--auth-access-ttl", "5m"], &[]), 5);
    assert_eq!(minutes(&["--auth-config-file", &path], &[]), 2);
    let settings = from(&[], &[file]).unwrap();
    assert_eq!(settings.list("AUTH_CORS_ORIGINS").unwrap(), ["https://a", "https://b"]);
}

#[test]
fn an_unknown_key_in_the_file_is_named() {
    let (_kept, path) = file("auth_acess_ttl = '2m'");
    let error = from(&[], &[("AUTH_CONFIG_FILE", &path)]).unwrap_err();
    assert_eq!(error.to_string(), "auth_acess_ttl: is no setting of this program; --help lists them");
    let (_kept, path) = file("'' = '2m'");
    let error = from(&[], &[("AUTH_CONFIG_FILE", &path)]).unwrap_err();
    assert_eq!(error.to_string(), "\"\": is no setting of this program; --help lists them");
}

#[test]
fn a_broken_file_is_named_without_its_text() {
    let (_kept, path) = file("auth_access_ttl = '2m'\nauth_pepper = \"hunter2");
    let error = from(&[], &[("AUTH_CONFIG_FILE", &path)]).unwrap_err().to_string();
    assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
    let error = from(&[], &[("AUTH_CONFIG_FILE", "/nowhere")]).unwrap_err();
    assert_eq!(error.name, "AUTH_CONFIG_FILE");
}

#[test]
fn a_secret_is_a_value_or_a_file_and_never_shown() {
    let (_kept, path) = file("hunter2\n");
    let by_file = from(&[], &[("AUTH_PEPPER_FILE", &path)]).unwrap();
    assert_eq!(by_file.text("AUTH_PEPPER"), Ok("hunter2"));
    assert!(!format!("{by_file:?}").contains("hunter2"));
    assert_eq!(by_file.duration("AUTH_PEPPER").unwrap_err().value, None);
    let both = from(&["--auth-pepper", "x"], &[("AUTH_PEPPER_FILE", &path)]).unwrap_err();
    assert_eq!(both, twice("AUTH_PEPPER"));
}

#[test]
fn an_empty_value_is_unset_or_refused() {
    let unset = from(&[], &[("AUTH_CORS_ORIGINS", "")]).unwrap();
    assert_eq!(unset.list("AUTH_CORS_ORIGINS"), Ok(vec![]));
    let refused = from(&[], &[("AUTH_ACCESS_TTL", "")]).unwrap_err();
    assert_eq!(refused.to_string(), "AUTH_ACCESS_TTL: is empty; leave it out for the default, 15m");
}

#[test]
fn a_bad_value_is_one_sentence_that_names_the_setting() {
    let settings =
        Settings::from_pairs(DECLARED, [("AUTH_ACCESS_TTL", "soon\n"), ("AUTH_CORS_ORIGINS", "a,,b")]);
    let settings = settings.unwrap();
    assert_eq!(
        settings.duration("AUTH_ACCESS_TTL").unwrap_err().to_string(),
        r#"AUTH_ACCESS_TTL: "soon" is no span of time; write it like 15m, 30d or 0s"#
    );
    assert!(settings.list("AUTH_CORS_ORIGINS").unwrap_err().problem.starts_with("has an empty entry"));
    assert_eq!(settings.flag("AUTH_ACCESS_TTL").unwrap_err().problem, "is neither true nor false");
    assert_eq!(settings.text("AUTH_NOWHERE").unwrap_err().problem, "is no setting of this program");
    assert!(Settings::from_pairs(DECLARED, [("AUTH_NOWHERE", "x")]).is_err());
}

#[test]
fn help_shows_the_variable_and_the_default() {
    let help = with_settings(Command::new("auth"), DECLARED).render_help().to_string();
    assert!(help.contains("--auth-access-ttl <VALUE>"), "{help}");
    assert!(help.contains("How long [env: AUTH_ACCESS_TTL] [default: 15m]"), "{help}");
    assert!(help.contains("--auth-pepper-file"), "{help}");
}

#[test]
fn the_help_of_a_subcommand_lists_its_own_options_alone() {
    let add = || Command::new("add").arg(Arg::new("email").long("email")).after_help("Read this.");
    let user = || Command::new("user").subcommand(add());
    let program = || with_settings(Command::new("auth").subcommand(user()), DECLARED);
    let ended = program().try_get_matches_from(["auth", "user", "add", "--help"]).unwrap_err().to_string();
    assert!(ended.contains("--email"), "{ended}");
    assert!(ended.ends_with("Read this.\n\nSettings: see `auth --help`.\n"), "{ended}");
    assert!(!ended.contains("--auth-"), "{ended}");
    for arguments in [
        ["auth", "user", "add", "--auth-access-ttl", "1m"],
        ["auth", "--auth-access-ttl", "1m", "user", "add"],
    ] {
        let matches = program().try_get_matches_from(arguments).unwrap();
        let settings = Settings::collect(DECLARED, &matches, &[], |_| None).unwrap();
        assert_eq!(settings.duration("AUTH_ACCESS_TTL"), Ok(Duration::from_mins(1)), "{arguments:?}");
    }
}

#[test]
fn addresses_and_numbers_are_refused_in_sentences() {
    let settings =
        Settings::from_pairs(DECLARED, [("AUTH_ACCESS_TTL", "abc"), ("AUTH_CORS_ORIGINS", "-1")]).unwrap();
    assert_eq!(
        settings.address("AUTH_CORS_ORIGINS").unwrap_err().to_string(),
        r#"AUTH_CORS_ORIGINS: "-1" is no IP address with a port; write it like 127.0.0.1:8080, localhost:8080 or :8080"#
    );
    assert_eq!(
        settings.number("AUTH_CORS_ORIGINS").unwrap_err().to_string(),
        r#"AUTH_CORS_ORIGINS: "-1" is no whole number; write it like 32"#
    );
    let address = Settings::from_pairs(DECLARED, [("AUTH_CORS_ORIGINS", "[::1]:80")]).unwrap();
    assert_eq!(address.address("AUTH_CORS_ORIGINS").unwrap().port(), 80);
    assert_eq!(address.number("AUTH_PEPPER").unwrap_err().to_string(), "AUTH_PEPPER: is not set; set it");
}
