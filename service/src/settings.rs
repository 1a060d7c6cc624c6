//! Settings: reads flags, environment and an optional TOML file, before a port is bound. Each binary declares its
//! settings and parses their values.
//!
//! The setting `AUTH_HTTP_ADDR` is the flag `--auth-http-addr`, the environment variable `AUTH_HTTP_ADDR` and the
//! file's key `auth_http_addr` (or `AUTH_HTTP_ADDR`). A flag overrides the environment, the environment overrides the
//! file, and the file overrides the default. The setting whose name ends in `_CONFIG_FILE` names the file, by flag or
//! environment. Without it, the file is `PROGRAM.toml` in the working directory, or else in `/etc/countermark`.
//!
//! For a setting without a default, an empty value counts as absent. For a setting with a default, an empty value is
//! refused, because it is more likely a mistake. A [secret](Setting::secret) `X` may be given as `X_FILE`, the path
//! of a file that holds it, but not in both ways.

mod file;
mod unknown;
pub mod urls;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::{Arg, ArgMatches, Command};
use zeroize::Zeroizing;

pub use unknown::{unknown_variables, warn_of_unknown_variables};

/// The declaration of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name, which is also the environment variable.
    pub name: &'static str,
    /// The default value.
    pub default: Option<&'static str>,
    /// The description in `--help`, one line.
    pub help: &'static str,
    secret: bool,
}

impl Setting {
    /// A setting with a default.
    #[must_use]
    pub const fn new(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self { name, default: Some(default), help, secret: false }
    }

    /// A setting without a default.
    #[must_use]
    pub const fn optional(name: &'static str, help: &'static str) -> Self {
        Self { name, default: None, help, secret: false }
    }

    /// Declares the setting a secret: it may be given as `…_FILE`, and appears in no message.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// `true` when the setting is a secret.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        self.secret
    }

    /// The value without the blanks around it, which nobody means. A secret may begin or end with one.
    fn trimmed(&self, value: String) -> Zeroizing<String> {
        if self.secret { Zeroizing::new(value) } else { Zeroizing::new(value.trim().to_owned()) }
    }

    fn names_the_file(&self) -> bool {
        self.name.ends_with("_CONFIG_FILE")
    }
}

/// A problem with a setting. `Display` is one sentence that names the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SettingError {
    /// The name of the setting.
    pub name: String,
    /// The value, shortened. Always `None` for a secret.
    pub value: Option<String>,
    /// The problem, and what to do about it.
    pub problem: String,
}

impl SettingError {
    /// An error without a value, for example about two settings that exclude each other.
    #[must_use]
    pub fn new(name: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { name: name.into(), value: None, problem: problem.into() }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}: {value:?} {}", self.name, self.problem),
            None => write!(f, "{}: {}", self.name, self.problem),
        }
    }
}

/// The places of the settings file of `program`, when no setting names another.
#[must_use]
pub fn usual_files(program: &str) -> Vec<PathBuf> {
    let name = format!("{program}.toml");
    vec![PathBuf::from(&name), Path::new("/etc/countermark").join(name)]
}

/// Adds the flags for `declared` to a program. Its subcommands accept them, too. The help of a subcommand lists only its own
/// options, and says where the settings are listed.
#[must_use]
pub fn with_settings(program: Command, declared: &'static [Setting]) -> Command {
    let note = format!("Settings: see `{} --help`.", program.get_name());
    let hidden: Vec<_> = arguments(declared).into_iter().map(|flag| flag.hide(true)).collect();
    program.args(arguments(declared)).mut_subcommands(|command| without_list(command, &hidden, &note))
}

/// Hides the settings in the help of `command` and of its subcommands.
fn without_list(command: Command, hidden: &[Arg], note: &str) -> Command {
    let help = command.get_after_help().map(|help| format!("{help}\n\n"));
    command
        .args(hidden)
        .after_help(help.unwrap_or_default() + note)
        .mut_subcommands(|command| without_list(command, hidden, note))
}

fn arguments(declared: &'static [Setting]) -> Vec<Arg> {
    let flag = |name: String, help: String| {
        let flag = Arg::new(name.clone()).long(flag_name(&name)).value_name("VALUE").help(help);
        // A heading separates them from the program's other flags.
        flag.global(true).help_heading("Settings")
    };
    let mut flags = Vec::new();
    for setting in declared {
        let default = setting.default.map_or(String::new(), |default| format!(" [default: {default}]"));
        let Setting { name, help, .. } = setting;
        flags.push(flag((*name).to_owned(), format!("{help} [env: {name}]{default}")));
        if setting.secret {
            let name = file_name(name);
            let help = format!("The same, read from this file [env: {name}]");
            flags.push(flag(name, help));
        }
    }
    flags
}

/// The settings of one binary: each declared one that was given or has a default.
pub struct Settings {
    declared: &'static [Setting],
    values: BTreeMap<&'static str, Zeroizing<String>>,
    secret_files: Vec<PathBuf>,
}

impl Settings {
    /// Collects the values for `declared` from flags, environment and the file that one of them names. When none does, `usual`
    /// has the places where a file may be; the first that is there counts.
    ///
    /// # Errors
    /// [`SettingError`] when the file can't be read or has an undeclared key, when a secret is given twice, or when a
    /// value must not be empty. Values are not parsed here.
    pub fn collect(
        declared: &'static [Setting],
        matches: &ArgMatches,
        usual: &[PathBuf],
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, SettingError> {
        let names = declared.iter().map(|setting| setting.name.to_owned());
        let of_files =
            declared.iter().filter(|setting| setting.secret).map(|setting| file_name(setting.name));
        let given = names.chain(of_files).filter_map(|name| env(&name).map(|value| (name, value)));
        let given: BTreeMap<String, String> = given
            .map(|(name, value)| match value.into_string() {
                Ok(value) => Ok((name, value)),
                Err(_) => Err(SettingError::new(name, "is not UTF-8")),
            })
            .collect::<Result<_, _>>()?;
        let env = |name: &str| given.get(name).cloned();
        let typed = |name: &str| {
            let flag = matches.try_get_one::<String>(name).ok().flatten().cloned();
            flag.filter(|value| !value.is_empty()).or_else(|| env(name))
        };
        let name =
            declared.iter().find(|setting| setting.names_the_file()).map_or("", |setting| setting.name);
        let named = typed(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        // One that can't be looked at is read, and the error says why it can't.
        let is_there = |path: &&PathBuf| !matches!(path.try_exists(), Ok(false));
        let file = match named.or_else(|| usual.iter().find(is_there).cloned()) {
            Some(path) => file::read(declared, name, &path)?,
            None => BTreeMap::new(),
        };
        Self::resolve(declared, |name, kept| {
            let flag = matches.try_get_one::<String>(name).ok().flatten().cloned();
            let sources = [flag, env(name), file.get(name).cloned()];
            sources.into_iter().flatten().find(|value| kept || !value.is_empty())
        })
    }

    /// Collects the values for `declared` from `pairs` of name and value. Reads no configuration file.
    ///
    /// # Errors
    /// [`SettingError`] when a name is not declared, or for the reasons of [`collect`](Self::collect).
    pub fn from_pairs<K: AsRef<str>, V: Into<String>>(
        declared: &'static [Setting],
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, SettingError> {
        let mut given = BTreeMap::new();
        for (name, value) in pairs {
            given.insert(known(declared, name.as_ref())?, value.into());
        }
        Self::resolve(declared, |name, kept| {
            given.get(name).filter(|value| kept || !value.is_empty()).cloned()
        })
    }

    /// Collects the values for `declared` from the text of a configuration file.
    ///
    /// # Errors
    /// [`SettingError`] when the text is not TOML, or for the reasons of [`collect`](Self::collect).
    pub fn from_toml(declared: &'static [Setting], text: &str) -> Result<Self, SettingError> {
        let named = declared.iter().find(|setting| setting.names_the_file());
        let file = file::parse(declared, named.map_or("", |setting| setting.name), "", text)?;
        Self::resolve(declared, |name, kept| {
            file.get(name).filter(|value| kept || !value.is_empty()).cloned()
        })
    }

    /// The value as text.
    pub fn text(&self, name: &str) -> Result<&str, SettingError> {
        self.declared(name)?;
        self.optional(name).ok_or_else(|| SettingError::new(name, "is not set; set it"))
    }

    /// The value as text, if there is one.
    #[must_use]
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.as_str())
    }

    /// Parses the value.
    ///
    /// # Errors
    /// [`SettingError`] when the setting has no value, or when `T` can't parse it. The error of `T` must complete the
    /// sentence "VALUE …".
    pub fn parse<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<T, SettingError> {
        let value = self.text(name)?;
        value.parse().map_err(|error: T::Err| self.wrong(name, value, error.to_string()))
    }

    /// Parses the value, if there is one.
    ///
    /// # Errors
    /// [`SettingError`] when `T` can't parse the value.
    pub fn parse_optional<T: FromStr<Err: fmt::Display>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, SettingError> {
        self.declared(name)?;
        self.optional(name).map(|_| self.parse(name)).transpose()
    }

    /// The files that secrets were read from.
    #[must_use]
    pub fn secret_files(&self) -> &[PathBuf] {
        &self.secret_files
    }

    /// Parses a whole number.
    ///
    /// # Errors
    /// [`SettingError`] when the setting has no value, or when it is not a whole number.
    pub fn number(&self, name: &str) -> Result<usize, SettingError> {
        let value = self.text(name)?;
        value.parse().map_err(|_| self.wrong(name, value, "is no whole number; write it like 32"))
    }

    /// Parses a duration such as `15m`, `30d` or `0s`.
    ///
    /// # Errors
    /// [`SettingError`] when the setting has no value, or when it is not a duration.
    pub fn duration(&self, name: &str) -> Result<Duration, SettingError> {
        let value = self.text(name)?;
        // The library takes digits of other scripts, too.
        let span = Some(value)
            .filter(|value| value.is_ascii())
            .and_then(|value| humantime::parse_duration(value).ok());
        span.ok_or_else(|| self.wrong(name, value, "is no span of time; write it like 15m, 30d or 0s"))
    }

    /// Parses `true` or `false`.
    ///
    /// # Errors
    /// [`SettingError`] when the setting has no value, or another one.
    pub fn flag(&self, name: &str) -> Result<bool, SettingError> {
        match self.text(name)? {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(self.wrong(name, other, "is neither true nor false")),
        }
    }

    /// Splits a comma list, and trims its entries. The list is empty when the setting has no value.
    ///
    /// # Errors
    /// [`SettingError`] when an entry is empty.
    pub fn list(&self, name: &str) -> Result<Vec<&str>, SettingError> {
        self.declared(name)?;
        let Some(value) = self.optional(name) else { return Ok(Vec::new()) };
        let entries: Vec<_> = value.split(',').map(str::trim).collect();
        if entries.contains(&"") {
            return Err(self.wrong(name, value, "has an empty entry; separate entries with one comma each"));
        }
        Ok(entries)
    }

    /// Parses each entry of a comma list.
    ///
    /// # Errors
    /// [`SettingError`] when an entry is empty, or when `T` can't parse one.
    pub fn parse_list<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<Vec<T>, SettingError> {
        let parse =
            |entry: &str| entry.parse().map_err(|error: T::Err| self.wrong(name, entry, error.to_string()));
        self.list(name)?.into_iter().map(parse).collect()
    }

    /// Reads the file that the setting names, if it has a value.
    ///
    /// # Errors
    /// [`SettingError`] when the file can't be read, or is not UTF-8.
    pub fn file(&self, name: &str) -> Result<Option<Zeroizing<String>>, SettingError> {
        self.declared(name)?;
        let Some(path) = self.optional(name) else { return Ok(None) };
        let text = fs::read_to_string(path);
        text.map(|text| Some(Zeroizing::new(text))).map_err(|error| unreadable(name, path, &error))
    }

    /// Makes an error about the setting's value, for a later check than the ones here. `problem` completes the
    /// sentence `NAME: "value" …`. The value of a secret is left out.
    #[must_use]
    pub fn refuse(&self, name: &str, problem: impl Into<String>) -> SettingError {
        self.wrong(name, self.optional(name).unwrap_or_default(), problem)
    }

    fn resolve(
        declared: &'static [Setting],
        given: impl Fn(&str, bool) -> Option<String>,
    ) -> Result<Self, SettingError> {
        let (mut values, mut secret_files) = (BTreeMap::new(), Vec::new());
        for setting in declared {
            let value = given(setting.name, setting.default.is_some()).map(|value| setting.trimmed(value));
            let by_file = setting.secret.then(|| given(&file_name(setting.name), false)).flatten();
            let value = match (value, by_file) {
                (Some(_), Some(_)) => return Err(twice(setting.name)),
                (Some(value), None) if value.is_empty() && setting.default.is_some() => {
                    return Err(empty(setting));
                }
                (Some(value), None) if value.is_empty() => None,
                (None, Some(path)) => {
                    let secret = read_secret(setting.name, &path)?;
                    secret_files.push(path.into());
                    Some(secret)
                }
                (value, None) => value.or_else(|| Some(Zeroizing::new(setting.default?.to_owned()))),
            };
            values.extend(value.map(|value| (setting.name, value)));
        }
        Ok(Self { declared, values, secret_files })
    }

    fn declared(&self, name: &str) -> Result<&'static Setting, SettingError> {
        let setting = self.declared.iter().find(|setting| setting.name == name);
        setting.ok_or_else(|| SettingError::new(name, "is no setting of this program"))
    }

    fn wrong(&self, name: &str, value: &str, problem: impl Into<String>) -> SettingError {
        const SHOWN: usize = 80;
        let shown = self.declared(name).is_ok_and(|setting| !setting.secret);
        let value = shown.then(|| value.chars().take(SHOWN).collect());
        SettingError { name: name.to_owned(), value, problem: problem.into() }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.declared.iter().filter_map(|setting| {
            let value = self.values.get(setting.name)?.as_str();
            Some((setting.name, if setting.secret { "[secret]" } else { value }))
        });
        f.debug_map().entries(shown).finish()
    }
}

fn flag_name(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

fn file_name(name: &str) -> String {
    format!("{name}_FILE")
}

fn twice(name: &str) -> SettingError {
    SettingError::new(name, format!("is given both as {name} and as {}; keep one", file_name(name)))
}

fn empty(setting: &Setting) -> SettingError {
    let default = setting.default.unwrap_or_default();
    SettingError::new(setting.name, format!("is empty; leave it out for the default, {default}"))
}

fn unreadable(name: &str, path: &str, error: &dyn fmt::Display) -> SettingError {
    SettingError::new(name, format!("the file {path:?} can't be read: {error}"))
}

/// Reads a secret from its file, without the line end that editors add.
fn read_secret(name: &str, path: &str) -> Result<Zeroizing<String>, SettingError> {
    let name = file_name(name);
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| unreadable(&name, path, &error))?);
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(SettingError::new(name, format!("the file {path:?} is empty")));
    }
    Ok(Zeroizing::new(secret.to_owned()))
}

/// The declared name that `key` means: a setting, or a secret's `…_FILE`.
fn known(declared: &'static [Setting], key: &str) -> Result<String, SettingError> {
    let upper = key.to_ascii_uppercase();
    let is_upper_or_lower = key == upper || key == key.to_ascii_lowercase();
    let named = |setting: &Setting| {
        setting.name == upper || setting.secret && upper.strip_suffix("_FILE") == Some(setting.name)
    };
    if is_upper_or_lower && declared.iter().any(named) {
        return Ok(upper);
    }
    // An empty key is shown as "".
    let name = if key.is_empty() { "\"\"".to_owned() } else { key.escape_debug().to_string() };
    Err(SettingError::new(name, "is no setting of this program; --help lists them"))
}

#[cfg(test)]
mod tests;
