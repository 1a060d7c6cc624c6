//! The bootstrap file: audiences, clients and accounts that each start writes to the database. This module reads and
//! checks the file; `ops` applies it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use countermark::verify::{Audience, Scope};
use countermark_service::settings::{SettingError, Settings};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::domain::{
    account::{Email, Role},
    audience::RegisteredAudience,
    client::{Client, ClientId, GrantType},
    client_keys::public_keys,
    password::{Attempt, Password},
    secret::SecretHash,
};

const SETTING: &str = "AUTH_BOOTSTRAP_FILE";

/// Minimum length of a secret, in characters. A shorter one could be guessed from its hash.
const MIN_SECRET_CHARS: usize = 32;

/// The content of a bootstrap file. Each start applies it to the database. Nothing is removed.
#[derive(Clone, Debug, Default)]
pub struct Bootstrap {
    /// The audiences. Each is added, or updated to match.
    pub audiences: Vec<RegisteredAudience>,
    /// The clients. Each is added, or updated to match.
    pub clients: Vec<Client>,
    /// The accounts. Each is added if it is absent. Existing accounts are not changed.
    pub accounts: Vec<NewAccount>,
    /// The file itself, and the files with secrets that it names.
    pub files: Vec<PathBuf>,
}

/// An account to be added.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The email address.
    pub email: Email,
    /// The initial password.
    pub password: Password,
    /// The roles.
    pub roles: Vec<Role>,
}

impl Bootstrap {
    /// Reads the file that the setting names. The result is empty when the setting is absent. Paths in the file are
    /// relative to its folder.
    ///
    /// # Errors
    /// [`SettingError`] when the file can't be read, or names the table and the entry that can't be used.
    pub(super) fn read(settings: &Settings) -> Result<Self, SettingError> {
        let (Some(text), Some(path)) = (settings.file(SETTING)?, settings.optional(SETTING)) else {
            return Ok(Self::default());
        };
        let folder = Path::new(path).parent().unwrap_or(Path::new(""));
        let mut read = Self::parse(&text, folder)
            .map_err(|problem| SettingError::new(SETTING, format!("{path}: {problem}")))?;
        read.files.push(path.into());
        Ok(read)
    }

    /// Parses the text of a bootstrap file. Paths in it are relative to `folder`.
    ///
    /// # Errors
    /// A message that names the table and the entry that can't be used. It contains no secret.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        // The parser's full message quotes the line, which may hold a secret. So only the line number and the short
        // message are used.
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            format!("line {line}: {}", error.message())
        })?;
        let secrets = file.clients.iter().filter_map(|client| client.secret_file.as_ref());
        let passwords = file.accounts.iter().filter_map(|account| account.password_file.as_ref());
        let files: Vec<_> = secrets.chain(passwords).map(|name| folder.join(name)).collect();
        let audiences = each("audiences", file.audiences, AudienceEntry::into_audience)?;
        let clients = each("clients", file.clients, |entry| entry.into_client(folder))?;
        let accounts = each("accounts", file.accounts, |entry| entry.into_account(folder))?;
        unique("audiences", audiences.iter().map(|audience| audience.id.as_str()))?;
        unique("audiences: scope", audiences.iter().flat_map(|audience| audience.scopes.iter()))?;
        unique("clients", clients.iter().map(|client| client.id.as_str()))?;
        unique("accounts", accounts.iter().map(|account| account.email.as_str()))?;
        Ok(Self { audiences, clients, accounts, files })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    audiences: Vec<AudienceEntry>,
    #[serde(default)]
    clients: Vec<ClientEntry>,
    #[serde(default)]
    accounts: Vec<AccountEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AudienceEntry {
    id: String,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    default_scopes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientEntry {
    id: String,
    secret: Option<Zeroizing<String>>,
    secret_file: Option<String>,
    jwks_file: Option<String>,
    #[serde(default)]
    grants: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    audiences: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountEntry {
    email: String,
    password: Option<Zeroizing<String>>,
    password_file: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
}

impl AudienceEntry {
    fn into_audience(self) -> Result<RegisteredAudience, String> {
        said(RegisteredAudience::new(
            Audience::new(self.id),
            scope(&self.scopes)?,
            scope(&self.default_scopes)?,
        ))
    }
}

impl ClientEntry {
    fn into_client(self, folder: &Path) -> Result<Client, String> {
        let id: ClientId = said(self.id.parse())?;
        let secret = secret("secret", self.secret, self.secret_file, folder)?;
        if secret.as_ref().is_some_and(|secret| secret.chars().count() < MIN_SECRET_CHARS) {
            return Err(format!(
                "secret must have at least {MIN_SECRET_CHARS} characters; make one at random"
            ));
        }
        let jwks = self.jwks_file.map(|file| key_set(&file, folder)).transpose()?;
        if secret.is_none() && jwks.is_none() {
            return Err("needs a secret, a secret_file or a jwks_file".to_owned());
        }
        Ok(Client {
            id,
            secrets: secret.iter().map(|secret| SecretHash::of(secret)).collect(),
            jwks,
            grants: said(self.grants.iter().map(|grant| grant.parse::<GrantType>()).collect())?,
            scopes: scope(&self.scopes)?,
            audiences: self.audiences.into_iter().map(Audience::new).collect(),
            roles: roles(&self.roles)?,
            is_enabled: true,
        })
    }
}

impl AccountEntry {
    fn into_account(self, folder: &Path) -> Result<NewAccount, String> {
        let password = secret("password", self.password, self.password_file, folder)?
            .ok_or_else(|| "needs a password or a password_file".to_owned())?;
        Ok(NewAccount {
            email: said(self.email.parse())?,
            password: said(Password::try_from(Attempt::from(password.to_string())))?,
            roles: roles(&self.roles)?,
        })
    }
}

/// Parses each entry of a table. The error names the first entry that can't be used.
fn each<E, T>(
    table: &str,
    entries: Vec<E>,
    parse: impl Fn(E) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let numbered = entries.into_iter().enumerate();
    numbered
        .map(|(at, entry)| parse(entry).map_err(|error| format!("[[{table}]] {}: {error}", at + 1)))
        .collect()
}

fn unique<'a>(table: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = Vec::new();
    for name in names {
        if seen.contains(&name) {
            return Err(format!("{table} {name:?} stands there twice"));
        }
        seen.push(name);
    }
    Ok(())
}

/// Returns the value, or the content of the file. Giving both is an error.
fn secret(
    name: &str,
    value: Option<Zeroizing<String>>,
    file: Option<String>,
    folder: &Path,
) -> Result<Option<Zeroizing<String>>, String> {
    match (value, file) {
        (Some(_), Some(_)) => Err(format!("has both {name} and {name}_file; give one")),
        (value, None) => Ok(value),
        (None, Some(file)) => {
            let text = Zeroizing::new(content(&file, folder)?);
            Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())))
        }
    }
}

fn key_set(file: &str, folder: &Path) -> Result<String, String> {
    let text = Zeroizing::new(content(file, folder)?);
    public_keys(&text).map_err(|problem| format!("{file}: {problem}"))
}

fn content(file: &str, folder: &Path) -> Result<String, String> {
    fs::read_to_string(folder.join(file)).map_err(|error| format!("{file} can't be read: {error}"))
}

fn scope(words: &[String]) -> Result<Scope, String> {
    let mut scope = Scope::default();
    said(scope.extend(words.iter().map(String::as_str)))?;
    Ok(scope)
}

fn roles(words: &[String]) -> Result<Vec<Role>, String> {
    said(words.iter().map(|role| role.parse()).collect())
}

fn said<T, E: ToString>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Bootstrap::parse(text, Path::new("")).err().unwrap_or_else(|| panic!("accepted: {text}"))
    }

    #[test]
    fn all_three_tables_are_read() {
        let bootstrap = Bootstrap::parse(
            r#"
            [[audiences]]
            id = "resource-service"
            scopes = ["documents:read", "documents:write"]
            default_scopes = ["documents:read"]
            [[clients]]
            id = "billing"
            secret = "0123456789abcdef0123456789abcdef"
            grants = ["client_credentials"]
            scopes = ["introspect"]
            audiences = ["resource-service"]
            [[accounts]]
            email = " Test@Example.com "
            password = "password"
            roles = ["admin"]
            "#,
            Path::new(""),
        )
        .unwrap();
        assert_eq!(bootstrap.audiences[0].default_scopes.to_string(), "documents:read");
        assert_eq!(bootstrap.clients[0].secrets.len(), 1);
        assert_eq!(bootstrap.accounts[0].email.as_str(), "test@example.com");
    }

    #[test]
    fn a_mistake_is_reported_with_its_place_and_without_the_secret() {
        assert!(refused("[[accounts]]\nemail = 1").starts_with("line 2"));
        assert!(refused("[[clients]]\nid = \"a\"\nsecrets = \"x\"").contains("secrets"));
        assert!(refused("[[clients]]\nid = \"a\"").contains("[[clients]] 1: needs a secret"));
        assert!(refused("[[accounts]]\nemail = \"a@b\"").contains("needs a password"));
        let short = refused("[[clients]]\nid = \"a\"\nsecret = \"hunter2\"");
        assert!(short.contains("32 characters") && !short.contains("hunter2"), "{short}");
        let twice =
            "[[audiences]]\nid = \"a\"\nscopes = [\"s\"]\n[[audiences]]\nid = \"b\"\nscopes = [\"s\"]";
        assert!(refused(twice).contains("\"s\" stands there twice"));
    }
}
