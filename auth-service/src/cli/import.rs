//! `auth-service user import`: imports accounts with their password hashes, so that no user has to choose a new
//! password.
//!
//! Bad lines are reported and skipped. With `--strict`, one bad line prevents the whole import.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufRead, BufReader},
};

use clap::{Arg, ArgAction, ArgMatches, Command};
use countermark_service::exit::Failure;
use serde::Deserialize;
use serde_json::json;

use super::{open::failed, output};
use crate::ops::{AuthService, admin::accounts::ImportedAccount};

/// Number of accounts that one transaction adds.
const PORTION: usize = 1_000;

/// A line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    email: String,
    password_hash: String,
    #[serde(default)]
    roles: Vec<String>,
}

/// The definition of the subcommand.
#[must_use]
pub fn command() -> Command {
    Command::new("import")
        .about("Import accounts with their password hashes")
        .after_help(
            "Each line is a JSON object: {\"email\": …, \"password_hash\": …, \"roles\": […]}, roles are optional.\n\
             Hashes: argon2, bcrypt, scrypt and PBKDF2 in PHC form, and the forms of Werkzeug and Django. At its first\n\
             login each account gets a hash of ours. One that needs more than 64 MiB or a second is refused.\n\
             The exit code is 1 when a line was left out.",
        )
        .arg(Arg::new("file").value_name("FILE").required(true).help("The file, `-` for standard input"))
        .arg(Arg::new("strict").long("strict").action(ArgAction::SetTrue).help("Import nothing if a line is bad"))
        .arg(output::json_flag())
}

/// Runs the subcommand.
///
/// # Errors
/// [`Failure`] when the file can't be read, when a line was left out, or when the database fails.
pub async fn run(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let path = matches.get_one::<String>("file").map_or("-", String::as_str);
    let (good, mut bad) = read(path).map_err(|error| Failure::start(format!("{path}: {error}")))?;
    if matches.get_flag("strict") {
        for (line, account) in &good {
            if auth.account_named(account.email.as_str()).map_err(failed)?.is_some() {
                bad.push((*line, TAKEN.to_owned()));
            }
        }
        if !bad.is_empty() {
            report(matches, 0, bad)?;
            return Err(Failure::start("nothing was imported"));
        }
    }
    let mut imported = 0;
    for portion in good.chunks(PORTION) {
        let accounts = portion.iter().map(|(_, account)| account.clone()).collect();
        let added = auth.import_accounts(accounts).await.map_err(failed)?;
        imported += added.iter().filter(|&&added| added).count();
        let taken = portion.iter().zip(added).filter(|(_, added)| !added);
        bad.extend(taken.map(|((line, _), _)| (*line, TAKEN.to_owned())));
    }
    let left_out = bad.len();
    report(matches, imported, bad)?;
    match left_out {
        0 => Ok(()),
        1 => Err(Failure::start("1 line was left out")),
        _ => Err(Failure::start(format!("{left_out} lines were left out"))),
    }
}

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

const TAKEN: &str = "there is an account with this email address";

type Numbered<T> = Vec<(usize, T)>;

fn report(matches: &ArgMatches, imported: usize, mut bad: Numbered<String>) -> Result<(), Failure> {
    bad.sort_by_key(|(line, _)| *line);
    let problems =
        bad.iter().map(|(line, problem)| format!("line {line}: {problem}\n")).collect::<Vec<_>>().concat();
    let sentence = format!("{problems}{imported} accounts imported, {} lines left out", bad.len());
    let lines: Vec<_> = bad.iter().map(|(line, problem)| json!({"line": line, "problem": problem})).collect();
    output::said(matches, &sentence, &json!({"imported": imported, "left_out": lines}))
}

/// Returns the accounts of the good lines, and the problems of the bad lines, each with its line number. Skips blank
/// lines.
fn read(path: &str) -> io::Result<(Numbered<ImportedAccount>, Numbered<String>)> {
    let lines: Box<dyn BufRead> =
        if path == "-" { Box::new(io::stdin().lock()) } else { Box::new(BufReader::new(File::open(path)?)) };
    let (mut good, mut bad, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for (at, line) in lines.split(b'\n').enumerate() {
        let mut line = line?;
        // Editors put a byte order mark before the first line.
        if at == 0 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        match (line.trim_ascii().is_empty(), parsed(&line)) {
            (true, _) => {}
            (false, Ok(account)) if seen.insert(account.email.clone()) => good.push((at + 1, account)),
            (false, Ok(_)) => bad.push((at + 1, "the email address stands on a line before".to_owned())),
            (false, Err(problem)) => bad.push((at + 1, problem)),
        }
    }
    Ok((good, bad))
}

/// Parses one line. The error message contains no password hash.
fn parsed(line: &[u8]) -> Result<ImportedAccount, String> {
    let line: Line = serde_json::from_slice(line).map_err(|error| {
        let message = error.to_string();
        let names_a_member = message.starts_with("missing field") || message.starts_with("unknown field");
        if names_a_member { message } else { format!("no JSON of this shape, at column {}", error.column()) }
    })?;
    Ok(ImportedAccount {
        email: line.email.parse().map_err(|error| format!("{error}"))?,
        password_hash: line.password_hash.parse().map_err(|error| format!("password_hash: {error}"))?,
        roles: line
            .roles
            .iter()
            .map(|role| role.parse())
            .collect::<Result<_, _>>()
            .map_err(|error| format!("{error}"))?,
    })
}
