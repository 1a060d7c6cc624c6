//! `auth-service audit`: lists the audit trail, and verifies it.

mod verify;

use std::time::{Duration, SystemTime};

use clap::{Arg, ArgAction, ArgMatches, Command, builder::PossibleValuesParser, value_parser};
use countermark::clock::{Clock as _, SystemClock, Timestamp};
use countermark_service::exit::Failure;
use serde_json::Value;

pub use self::verify::file as verify_file;
use super::{
    open::{account, failed},
    output,
};
use crate::{
    domain::{
        account::AccountId,
        audit::{AuditFilter, Event, ListedEntry},
    },
    ops::AuthService,
};

/// How many entries are listed, unless the command says from where.
const NEWEST: u32 = 1_000;

/// How often `--follow` looks for new entries.
const LOOK: Duration = Duration::from_millis(500);

const HEADINGS: [&str; 11] =
    ["ID", "At", "Event", "Account", "Email", "Client", "Session", "Address", "Device", "Detail", "Chain"];

/// The columns of a table. The rest is for programs.
const COLUMNS: usize = 10;

/// The definition of the subcommand.
#[must_use]
pub fn command() -> Command {
    let events = PossibleValuesParser::new(Event::ALL.map(Event::as_str));
    Command::new("audit")
        .about("List the audit trail: what happened, to whom, from where. The newest entries, the last one at the end")
        .after_help(
            "WHEN is a time as in 2026-11-26T08:00:00Z, a day as in 2026-11-26 (UTC), or an age as in 2h or 30d.\n\
             With --since or --after everything from there on is listed, however much it is.",
        )
        .arg(moment("since", "Only entries from then on"))
        .arg(moment("until", "Only entries up to then"))
        .arg(text("account", "EMAIL|ID", "Only entries about this account; the id also of one that was deleted"))
        .arg(
            text("event", "NAME", "Only entries of this kind")
                .value_parser(events)
                .hide_possible_values(true),
        )
        .arg(text("client", "ID", "Only entries about this client"))
        .arg(
            Arg::new("after")
                .long("after")
                .value_name("ID")
                .value_parser(value_parser!(i64))
                .help("Only entries after this id"),
        )
        .arg(
            Arg::new("limit")
                .long("limit")
                .value_name("N")
                .value_parser(value_parser!(u32))
                .help("At most so many: the newest, or with --since or --after the first ones [default: 1000 of the newest]"),
        )
        .arg(
            Arg::new("follow")
                .long("follow")
                .action(ArgAction::SetTrue)
                .help("Go on, and list what happens from now on; with --json one object a line"),
        )
        .arg(output::json_flag())
        .subcommand(verify::command())
}

fn text(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn moment(name: &'static str, help: &'static str) -> Arg {
    text(name, "WHEN", help).value_parser(when)
}

/// The instant of an age, a day or a time.
fn when(text: &str) -> Result<Timestamp, String> {
    if let Ok(age) = humantime::parse_duration(text) {
        return Ok(SystemClock::default().now().before(age));
    }
    let time = if text.len() == "2026-11-26".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let time = humantime::parse_rfc3339_weak(&time).ok();
    let since_epoch = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let millis = since_epoch.and_then(|since| i64::try_from(since.as_millis()).ok());
    millis
        .map(Timestamp::from_unix_millis)
        .ok_or_else(|| "write a time as in 2026-11-26T08:00:00Z, a day, or an age as in 2h".to_owned())
}

/// Runs the subcommand.
///
/// # Errors
/// [`Failure`] when an argument names nothing, the database can't be read, or the output is closed.
pub async fn run(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    if let Some((_, matches)) = matches.subcommand() {
        return verify::run(auth, matches);
    }
    let filter = filter(auth, matches)?;
    let limit = matches.get_one::<u32>("limit").copied();
    let (mut after, mut left) = match (matches.get_one::<i64>("after"), filter.since) {
        (Some(&after), _) => (after, limit.unwrap_or(u32::MAX)),
        (None, Some(_)) => (0, limit.unwrap_or(u32::MAX)),
        (None, None) => {
            let newest = limit.unwrap_or(NEWEST);
            (auth.audit_before_newest(&filter, newest).map_err(failed)?, newest)
        }
    };
    let headings = if matches.get_flag("json") { &HEADINGS[..] } else { &HEADINGS[..COLUMNS] };
    let follows = matches.get_flag("follow");
    let end_at_start = auth.audit_before_newest(&filter, 0).map_err(failed)?;
    let mut listing = if follows {
        output::Listing::without_end(matches, headings)
    } else {
        output::Listing::new(matches, headings)
    };
    loop {
        while left > 0 {
            let page = auth.audit_after(&filter, after, left.min(output::PAGE)).map_err(failed)?;
            let Some(end) = page.last() else { break };
            after = end.id;
            left = left.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
            let row = |entry| row(entry, headings.len());
            listing.page(page.into_iter().map(row).collect())?;
        }
        if !follows {
            return listing.end();
        }
        // The limit is for what was there when the command began.
        after = after.max(end_at_start);
        left = u32::MAX;
        tokio::time::sleep(LOOK).await;
    }
}

fn filter(auth: &AuthService, matches: &ArgMatches) -> Result<AuditFilter, Failure> {
    let text = |name| matches.get_one::<String>(name).cloned();
    let about = |name: String| match name.parse::<AccountId>() {
        Ok(id) => Ok(id),
        Err(_) => account(auth, &name).map(|account| account.id),
    };
    Ok(AuditFilter {
        since: matches.get_one("since").copied(),
        until: matches.get_one("until").copied(),
        account: text("account").map(about).transpose()?,
        event: text("event"),
        client: text("client"),
    })
}

fn row(entry: ListedEntry, columns: usize) -> Vec<Value> {
    let chain = verify::chain(&entry);
    let mut row = vec![
        entry.id.into(),
        entry.at.to_string().into(),
        entry.event.into(),
        entry.account.map(|id| id.to_string()).into(),
        entry.email.into(),
        entry.client.into(),
        entry.session.map(|id| id.to_string()).into(),
        entry.device.address.into(),
        entry.device.user_agent.into(),
        entry.detail.into(),
        chain,
    ];
    row.truncate(columns);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_a_day_or_an_age() {
        let day = Timestamp::from_unix_millis(1_795_651_200_000);
        for text in ["2026-11-26", "2026-11-26T00:00:00Z", "2026-11-26 00:00:00"] {
            assert_eq!(when(text), Ok(day), "{text}");
        }
        let age = when("2h").unwrap();
        assert!(age <= SystemClock::default().now().before(Duration::from_hours(2)));
        for text in ["", "yesterday", "2026-13-01", "1960-01-01", "2026-11-26T25:00:00Z"] {
            assert!(when(text).is_err(), "{text:?}");
        }
    }
}
