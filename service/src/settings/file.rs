//! Reads the configuration file. Its values become text, as flags have it.

use std::{collections::BTreeMap, fs, path::Path};

use super::{Setting, SettingError, known, unreadable};

/// Reads the configuration file at `path`. The setting `name` named it.
pub(super) fn read(
    declared: &'static [Setting],
    name: &str,
    path: &Path,
) -> Result<BTreeMap<String, String>, SettingError> {
    let shown = path.to_string_lossy();
    let text = fs::read_to_string(path).map_err(|error| unreadable(name, &shown, &error))?;
    parse(declared, name, &shown, &text)
}

/// Parses the text of the configuration file.
pub(super) fn parse(
    declared: &'static [Setting],
    name: &str,
    path: &str,
    text: &str,
) -> Result<BTreeMap<String, String>, SettingError> {
    let table: toml::Table = text.parse().map_err(|error| not_toml(name, path, text, &error))?;
    let mut values = BTreeMap::new();
    for (key, value) in table {
        let known = known(declared, &key)?;
        let value = plain(value).ok_or_else(|| {
            SettingError::new(
                &known,
                format!("in {path:?} must be a string, a number, true, false or a list"),
            )
        })?;
        if known == name || values.insert(known.clone(), value).is_some() {
            return Err(SettingError::new(
                known,
                format!("does not belong in {path:?}, or stands there twice"),
            ));
        }
    }
    Ok(values)
}

/// The parser's message without the line that it quotes, because that line may hold a secret.
fn not_toml(name: &str, path: &str, text: &str, error: &toml::de::Error) -> SettingError {
    let start = error.span().map_or(0, |span| span.start);
    let line = 1 + text.bytes().take(start).filter(|&byte| byte == b'\n').count();
    SettingError::new(name, format!("{path:?} is no TOML file: line {line}: {}", error.message()))
}

/// Converts a value to the text that a flag would have.
fn plain(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(fact) => Some(fact.to_string()),
        toml::Value::Array(entries) => {
            let entries: Option<Vec<_>> = entries.into_iter().map(plain).collect();
            entries.map(|entries| entries.join(","))
        }
        toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}
