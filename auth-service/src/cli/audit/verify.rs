//! `auth-service audit verify`: whether the trail, or an export of it, is as it was written.

use std::{
    fs::File,
    io::{self, BufReader, IsTerminal as _, Read},
    path::{Path, PathBuf},
};

use clap::{Arg, ArgMatches, Command, value_parser};
use countermark::{clock::Timestamp, verify::Tag};
use countermark_service::exit::Failure;
use serde::Deserialize;
use serde_json::{Value, json};

use super::output;
use crate::{
    cli::open::failed,
    domain::{
        audit::{AuditFilter, AuditLink, ListedEntry},
        audit_chain::{Check, Witness, bytes, hexadecimal},
        session::Device,
    },
    ops::AuthService,
};

/// After that many entries a terminal shows how far it is.
const STEP: u64 = 100_000;

/// The definition of the subcommand.
#[must_use]
pub(super) fn command() -> Command {
    Command::new("verify")
        .about("Check that the trail, or an export of it, is as it was written")
        .after_help(
            "The entries are a chain: one that is changed, added or removed in the middle is named, and the exit code is 1. Who \
             can write the database can also make a whole new chain, or remove the newest or the oldest. To find that, keep \
             what `Last` says elsewhere, and name it with --expect next time.\n\
             An export is what `auth-service audit --since WHEN --json` prints, without another filter.",
        )
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("An export, as --json prints it; - is standard input [default: the database]"),
        )
        .arg(
            Arg::new("expect")
                .long("expect")
                .value_name("ID:TAG")
                .value_parser(value_parser!(Witness))
                .help("An entry as an earlier check printed it: it has to be there still"),
        )
        .arg(output::json_flag())
}

/// The member `chain` of an exported entry. It holds what the tag depends on and the other members don't say.
#[must_use]
pub(super) fn chain(entry: &ListedEntry) -> Value {
    let millis = entry.at.unix_millis();
    entry.link.map_or(Value::Null, |AuditLink { previous, random, tag }| {
        json!({
            "at_millis": millis,
            "previous": hexadecimal(&previous.bytes()),
            "random": hexadecimal(&random),
            "tag": hexadecimal(&tag.bytes()),
        })
    })
}

/// An entry, as `audit --json` prints it.
#[derive(Deserialize)]
struct Exported {
    id: i64,
    at: String,
    event: String,
    account: Option<String>,
    session: Option<String>,
    client: Option<String>,
    address: Option<String>,
    device: Option<String>,
    detail: Option<String>,
    chain: Option<ExportedLink>,
}

#[derive(Deserialize)]
struct ExportedLink {
    at_millis: i64,
    previous: String,
    random: String,
    tag: String,
}

impl Exported {
    fn listed(self) -> Option<ListedEntry> {
        let at = Timestamp::from_unix_millis(self.chain.as_ref().map_or(0, |link| link.at_millis));
        // The chain holds the milliseconds; people read the text.
        if self.chain.is_some() && self.at != at.to_string() {
            return None;
        }
        Some(ListedEntry {
            id: self.id,
            at,
            event: self.event,
            account: self.account.map(|id| id.parse()).transpose().ok()?,
            email: None,
            session: self.session.map(|id| id.parse()).transpose().ok()?,
            client: self.client,
            device: Device { address: self.address, user_agent: self.device },
            detail: self.detail,
            link: match self.chain {
                None => None,
                Some(ExportedLink { previous, random, tag, .. }) => Some(AuditLink {
                    previous: Tag::new(bytes(&previous)?),
                    random: bytes(&random)?,
                    tag: Tag::new(bytes(&tag)?),
                }),
            },
        })
    }
}

/// The entries of an export: one array, or an object on each line.
fn read(path: &Path) -> Result<Vec<ListedEntry>, Failure> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Part {
        Array(Vec<Exported>),
        Line(Box<Exported>),
    }

    let failed = |cause: &dyn std::fmt::Display| Failure::start(format!("{}: {cause}", path.display()));
    let open = || -> io::Result<Box<dyn Read>> {
        if path.as_os_str() == "-" { Ok(Box::new(io::stdin())) } else { Ok(Box::new(File::open(path)?)) }
    };
    let file = BufReader::new(open().map_err(|error| failed(&error))?);
    let mut entries = Vec::new();
    for part in serde_json::Deserializer::from_reader(file).into_iter() {
        let part = part.map_err(|error| failed(&format!("it is no export of `audit --json`: {error}")))?;
        let exported = match part {
            Part::Array(exported) => exported,
            Part::Line(exported) => vec![*exported],
        };
        for entry in exported {
            let id = entry.id;
            let listed =
                entry.listed().ok_or_else(|| failed(&format!("entry {id} is not as it was printed")))?;
            if entries.last().is_some_and(|last: &ListedEntry| last.id >= id) {
                return Err(failed(&format!("entry {id} is not after the one before it")));
            }
            entries.push(listed);
        }
    }
    Ok(entries)
}

/// Runs `audit verify` on a file, if one is named. It needs no database.
///
/// # Errors
/// [`Failure`] when the file can't be read, or is not as it was written.
#[must_use]
pub fn file(matches: &ArgMatches) -> Option<Result<(), Failure>> {
    let (_, matches) = matches.subcommand()?;
    let file = matches.get_one::<PathBuf>("file")?;
    Some(read(file).and_then(|entries| {
        let mut check = check(matches);
        for entry in &entries {
            check.entry(entry);
        }
        verified(matches, check)
    }))
}

/// Runs the subcommand on the database.
///
/// # Errors
/// [`Failure`] when the database can't be read, or the trail is not as it was written.
pub(super) fn run(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    loop {
        let oldest = oldest(auth)?;
        let check = read_through(auth, check(matches))?;
        // A sweep between two pages would look like a gap.
        if self::oldest(auth)? == oldest {
            return verified(matches, check);
        }
    }
}

fn oldest(auth: &AuthService) -> Result<Option<i64>, Failure> {
    let first = auth.audit_after(&AuditFilter::default(), i64::MIN, 1).map_err(failed)?;
    Ok(first.first().map(|entry| entry.id))
}

fn read_through(auth: &AuthService, mut check: Check) -> Result<Check, Failure> {
    let mut after = i64::MIN;
    loop {
        let page = auth.audit_after(&AuditFilter::default(), after, output::PAGE).map_err(failed)?;
        let Some(end) = page.last() else { return Ok(check) };
        after = end.id;
        for entry in &page {
            check.entry(entry);
        }
        if check.entries.is_multiple_of(STEP) && io::stderr().is_terminal() {
            output::progress(&format!("{} entries so far", check.entries))?;
        }
    }
}

fn check(matches: &ArgMatches) -> Check {
    Check::expecting(matches.get_one("expect").copied())
}

fn verified(matches: &ArgMatches, mut check: Check) -> Result<(), Failure> {
    check.end();
    let Check { entries, before_the_chain, first, last, faults, faulty, .. } = check;
    let mut lines =
        vec![format!("{entries} entries, {before_the_chain} of them from before there was a chain.")];
    if let (Some(first), Some(last)) = (first, last) {
        lines.push(format!("The chain begins at entry {first}. Last: {last}"));
    }
    lines.extend(faults.iter().map(|(id, fault)| format!("Entry {id}: {fault}.")));
    let summary = json!({
        "entries": entries,
        "before_the_chain": before_the_chain,
        "first": first,
        "last": last.map(|last| last.to_string()),
        "faulty": faulty,
        "faults": faults.iter().map(|(id, fault)| json!({"id": id, "fault": fault.as_str()})).collect::<Vec<_>>(),
    });
    output::said(matches, &lines.join("\n"), &summary)?;
    if faulty == 0 {
        return Ok(());
    }
    Err(Failure::start(format!("the trail is not as it was written: {faulty} places")))
}
