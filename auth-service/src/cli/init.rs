//! `auth-service init`: creates the secrets of a deployment, so that none has to be committed to a repository.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::ArgMatches;
use countermark::random::{Random, SystemRandom};
use countermark_service::exit::Failure;
use serde_json::json;
use zeroize::Zeroizing;

use super::output;
use crate::keys::master_key::MasterKey;

const BOOTSTRAP: &str = r#"# auth-service applies this file at each start. Audiences and clients are updated to match it.
# Accounts are added when absent.

[[audiences]]
id = "resource-service"
scopes = ["documents:read", "documents:write"]
default_scopes = ["documents:read", "documents:write"]

[[clients]]
id = "resource-service"
secret_file = "resource-service.secret"
scopes = ["introspect", "watch"]
audiences = ["resource-service"]
"#;

const DEMO_ACCOUNT: &str = r#"
[[accounts]]
email = "test@example.com"
password = "password"
roles = ["admin"]
"#;

/// Creates absent files, keeps existing ones, and prints which is which.
pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let here = Path::new("secrets");
    let folder = matches.get_one::<std::path::PathBuf>("dir").map_or(here, |path| path);
    let files = make(folder, matches.get_flag("demo-account"), &SystemRandom).map_err(Failure::start)?;
    let outcome = |made: bool| if made { "made" } else { "kept" };
    let lines = files.iter().map(|(path, made)| format!("{} {}", outcome(*made), path.display()));
    let object = files
        .iter()
        .map(|(path, made)| json!({"path": path.display().to_string(), "outcome": outcome(*made)}));
    output::said(matches, &lines.collect::<Vec<_>>().join("\n"), &object.collect())
}

/// Creates the master key, the secret of resource-service and the bootstrap file in `folder`, if they are absent.
/// `with_demo_account` adds a demo account to the bootstrap file. Returns each file, and whether it was made.
///
/// # Errors
/// A message that names the file that can't be created, and the reason.
pub fn make(
    folder: &Path,
    with_demo_account: bool,
    random: &dyn Random,
) -> Result<Vec<(PathBuf, bool)>, String> {
    let bootstrap = [BOOTSTRAP, if with_demo_account { DEMO_ACCOUNT } else { "" }].concat();
    let said = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    fs::create_dir_all(folder).map_err(|error| said(folder, &error))?;
    let path = folder.join("master.key");
    let made = !path.exists();
    MasterKey::read_or_make(&path, random).map_err(|error| said(&path, &error))?;
    let mut files = vec![(path, made)];

    let secret: [u8; 32] = random.bytes().map_err(|error| error.to_string())?;
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(secret));
    // Each service gets its own secrets only. The group reads the one of resource-service, which runs as another user.
    for (name, content, mode) in
        [("resource-service.secret", secret.as_str(), 0o640), ("bootstrap.toml", bootstrap.as_str(), 0o600)]
    {
        let path = folder.join(name);
        let made = write_new(&path, content, mode).map_err(|error| said(&path, &error))?;
        files.push((path, made));
    }
    Ok(files)
}

/// Writes a file if nothing is there, not even a link. Returns `true` when it was written.
fn write_new(path: &Path, content: &str, mode: u32) -> io::Result<bool> {
    match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(mut file) => {
            file.write_all(content.as_bytes())?;
            file.sync_all().map(|()| true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let first = make(folder.path(), false, &SystemRandom).unwrap();
        assert!(first.len() == 3 && first.iter().all(|(_, made)| *made), "{first:?}");
        let secret = fs::read(folder.path().join("resource-service.secret")).unwrap();
        let second = make(folder.path(), false, &SystemRandom).unwrap();
        assert!(second.len() == 3 && second.iter().all(|(_, made)| !made), "{second:?}");
        assert_eq!(fs::read(folder.path().join("resource-service.secret")).unwrap(), secret);
    }
}
