//! Configuration: the TOML files of both services, and the bootstrap file. The input is the text of such a file, and
//! is read as each of the three. A text that names other files is skipped, because parsing would read those files.

use std::path::Path;

use auth_service::config::bootstrap::Bootstrap;
use countermark_service::settings::{Setting, SettingError, Settings};

/// Reads configuration. It must be valid, or the error must name the setting.
pub fn read(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if text.parse::<toml::Table>().is_ok_and(|table| names_files(&toml::Value::Table(table))) {
        return;
    }
    collected(auth_service::config::SETTINGS, text, |settings| {
        auth_service::config::Config::parse(settings).map(drop)
    });
    collected(resource_service::config::SETTINGS, text, |settings| {
        resource_service::config::Config::parse(settings).map(drop)
    });
    if let Err(problem) = Bootstrap::parse(text, Path::new("")) {
        assert!(!problem.is_empty());
    }
}

fn collected(
    declared: &'static [Setting],
    text: &str,
    parse: impl Fn(&Settings) -> Result<(), SettingError>,
) {
    let read = Settings::from_toml(declared, text).and_then(|settings| parse(&settings));
    if let Err(error) = read {
        let secrets: Vec<_> = declared.iter().filter(|setting| setting.is_secret()).collect();
        let is_secret = secrets.iter().any(|setting| setting.name == error.name);
        assert!(!is_secret || error.value.is_none(), "a secret would be printed");
        assert!(!error.name.is_empty() && !error.to_string().contains('\n'), "{error}");
    }
}

/// `true` when a key ends in `_file`, so that it may name a file.
fn names_files(value: &toml::Value) -> bool {
    match value {
        toml::Value::Table(members) => members
            .iter()
            .any(|(key, value)| key.to_ascii_lowercase().ends_with("_file") || names_files(value)),
        toml::Value::Array(items) => items.iter().any(names_files),
        _ => false,
    }
}
