//! What a binary says of itself with `--version`.

use crate::database::Schema;

/// The commit that the binary was built of, as whoever built it said.
const COMMIT: Option<&str> = option_env!("COUNTERMARK_COMMIT");

/// The package's version, the commit, and the number of the schema of its database: `0.1.0 (commit 1a2b3c4, schema 12)`.
#[must_use]
pub fn version(package: &str, schema: &Schema) -> String {
    let commit = COMMIT.filter(|commit| !commit.is_empty());
    let commit = commit.map_or(String::new(), |commit| format!("commit {commit}, "));
    format!("{package} ({commit}schema {})", schema.migrations.len())
}
