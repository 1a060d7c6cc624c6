//! `auth-service doctor`: lists the verifiers that watch, and the faults of each.

use clap::{ArgMatches, Command};
use countermark_service::{exit::Failure, inert::inert};
use serde_json::{Value, json};

use super::{open::failed, output};
use crate::{
    domain::{diagnosis::Baseline, watcher::Watcher},
    ops::AuthService,
};

/// The definition of the subcommand.
#[must_use]
pub fn command() -> Command {
    Command::new("doctor")
        .about("Show each verifier that watches revocations, and its faults; exit 1 when there is one")
        .after_help("Run it beside a running service, on the same database. It takes a second or two.")
        .arg(output::json_flag())
}

/// Runs the subcommand.
///
/// # Errors
/// [`Failure`] when a fault is found, or the database fails.
pub async fn run(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let found = auth.diagnose().await.map_err(failed)?;
    let sentences: Vec<_> = found.findings.iter().map(ToString::to_string).collect();
    let warnings: Vec<_> = found.warnings.iter().map(ToString::to_string).collect();
    if matches.get_flag("json") {
        let watchers = found.watchers.iter().map(|watcher| object(watcher, &found.standard));
        let watchers = watchers.collect::<Value>();
        let head = found.standard.head.number();
        let object = json!({"head": head, "watchers": watchers, "findings": sentences, "warnings": warnings});
        output::said(matches, "", &object)?;
    } else {
        let rows = found.watchers.iter().map(|watcher| row(watcher, &found.standard)).collect();
        output::rows(matches, &HEADINGS, rows)?;
        let nothing = vec!["Nothing is wrong.".to_owned()];
        for sentence in if sentences.is_empty() { &nothing } else { &sentences } {
            // The name of a watcher may hold anything.
            output::said(matches, &inert(sentence), &Value::Null)?;
        }
        for sentence in warnings {
            output::said(matches, &format!("Warning: {}", inert(&sentence)), &Value::Null)?;
        }
    }
    match sentences.len() {
        0 => Ok(()),
        1 => Err(Failure::start("one thing is wrong")),
        count => Err(Failure::start(format!("{count} things are wrong"))),
    }
}

const HEADINGS: [&str; 9] =
    ["Name", "Client", "Version", "Behind", "Last heard", "Current keys", "Policy", "Stale after", "Clock"];

fn row(watcher: &Watcher, standard: &Baseline) -> Vec<Value> {
    let last_message = format!("{} s ago", watcher.silence(standard.now).as_secs());
    let gone = if watcher.is_connected { "" } else { ", gone" };
    vec![
        watcher.who.name.clone().into(),
        watcher.who.client.as_str().into(),
        watcher.who.version.clone().into(),
        watcher.lag(standard.head).into(),
        format!("{last_message}{gone}").into(),
        standard.key_sets.contains(&watcher.applied.key_set).into(),
        watcher.who.policy.as_str().into(),
        humantime::format_duration(watcher.who.stale_after).to_string().into(),
        watcher.clock_offset.map(|offset| format!("{offset:+} ms")).into(),
    ]
}

fn object(watcher: &Watcher, standard: &Baseline) -> Value {
    json!({
        "name": watcher.who.name,
        "client": watcher.who.client.as_str(),
        "version": watcher.who.version,
        "connected": watcher.is_connected,
        "behind": watcher.lag(standard.head),
        "last_heard_seconds": watcher.silence(standard.now).as_secs(),
        "current_keys": standard.key_sets.contains(&watcher.applied.key_set),
        "policy": watcher.who.policy.as_str(),
        "stale_after_seconds": watcher.who.stale_after.as_secs(),
        "clock_offset_millis": watcher.clock_offset,
    })
}
