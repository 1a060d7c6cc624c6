//! `auth-service backup` and `auth-service restore`.

use std::{
    fs,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use countermark_service::{env::Env, exit::Failure, settings::Settings};
use serde_json::{Value, json};

use super::{
    open::{self, failed},
    output, recover,
};
use crate::{config::Config, ops::admin::backup};

/// The pause between two lines of progress.
const PROGRESS: Duration = Duration::from_millis(500);

/// The definition of `backup`.
#[must_use]
pub fn backup_command() -> Command {
    Command::new("backup")
        .about("Copy the database into a new file, while the service runs")
        .after_help(
            "The copy is consistent and checked. It holds sealed keys alone: keep the master key elsewhere. The mark is no \
             part of it. `auth-service restore` puts the copy back.",
        )
        .arg(path("The new file"))
        .arg(output::json_flag())
}

/// The definition of `restore`.
#[must_use]
pub fn restore_command() -> Command {
    Command::new("restore")
        .about("Put a backup in the place of the database, and recover it")
        .after_help(
            "Stop the service first. What happened after the backup is assumed to be the worst: see `auth-service recover \
             --help`. The database before is moved aside, and kept.",
        )
        .arg(path("The backup"))
        .arg(
            Arg::new("force")
                .long("force")
                .action(ArgAction::SetTrue)
                .help("Replace the database that is there; it is moved aside"),
        )
        .arg(output::json_flag())
}

fn path(help: &'static str) -> Arg {
    Arg::new("path").value_name("PATH").required(true).value_parser(value_parser!(PathBuf)).help(help)
}

/// Runs `backup`.
pub fn run(settings: &Settings, matches: &ArgMatches) -> Result<(), Failure> {
    let config = Config::parse(settings)?;
    let Some(to) = matches.get_one::<PathBuf>("path") else { return Ok(()) };
    let from = config.database.as_path();
    let whole = backup::size(from).map_err(failed)?;
    let made = showing_progress(&backup::draft(to), whole, || backup::back_up(from, to)).map_err(failed)?;
    let (bytes, seq) = (made.bytes, made.head.number());
    let sentence =
        format!("{} holds the database: {bytes} bytes, up to revocation {seq}, checked", to.display());
    output::said(matches, &sentence, &json!({"path": to.display().to_string(), "bytes": bytes, "head": seq}))
}

/// Runs `work`, and says on a terminal how much of it is done: how large the file `growing` is, of `whole` bytes.
fn showing_progress<T: Send>(growing: &Path, whole: u64, work: impl FnOnce() -> T + Send) -> T {
    let is_done = AtomicBool::new(!io::stderr().is_terminal());
    thread::scope(|scope| {
        let showing = scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                thread::park_timeout(PROGRESS);
                let size = fs::metadata(growing).map_or(0, |file| file.len());
                let percent = (size * 100).checked_div(whole).unwrap_or(100).min(100);
                // Progress that can't be shown is no failure.
                drop(output::progress(&format!("{percent} %")));
            }
        });
        let done = work();
        is_done.store(true, Ordering::Relaxed);
        showing.thread().unpark();
        done
    })
}

/// Runs `restore`.
pub fn restore(settings: &Settings, matches: &ArgMatches) -> Result<(), Failure> {
    let config = Config::parse(settings)?;
    let Some(copy) = matches.get_one::<PathBuf>("path") else { return Ok(()) };
    let database = config.database.as_path();
    let draft = backup::prepare(copy, database, matches.get_flag("force")).map_err(failed)?;
    // It is recovered before it is in place. So no service ever starts on a backup that was not.
    let unplaced = Config { database: draft.clone().into(), ..config.clone() };
    let recovered = open::to_recover(unplaced, async |auth| recover::recover(&auth).await);
    let placed = recovered.and_then(|recovered| {
        let now = Env::default().clock.now();
        Ok((recovered, backup::put_in_place(&draft, database, now).map_err(failed)?))
    });
    let ((recovered, mut object), aside) = placed.inspect_err(|_| backup::discard(&draft))?;
    let aside = aside.map(|path| path.display().to_string());
    let mut sentence = format!("{} is the database now.", copy.display());
    if let Some(aside) = &aside {
        sentence = format!("{sentence} The one before is kept as {aside}.");
    }
    object["replaced"] = aside.map_or(Value::Null, Value::String);
    output::said(matches, &format!("{sentence}\n{recovered}"), &object)
}
