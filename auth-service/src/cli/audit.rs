//! `auth-service audit`: lists the audit trail.

use clap::{Arg, ArgMatches, Command, value_parser};
use countermark_service::exit::Failure;
use serde_json::Value;

use super::{open::failed, output};
use crate::{domain::audit::ListedEntry, ops::AuthService};

/// The definition of the subcommand.
#[must_use]
pub fn command() -> Command {
    Command::new("audit")
        .about("List the audit trail: what happened, to whom, from which device; oldest first")
        .arg(
            Arg::new("after")
                .long("after")
                .value_name("ID")
                .default_value("0")
                .value_parser(value_parser!(i64))
                .help("Only entries after this id"),
        )
        .arg(
            Arg::new("limit")
                .long("limit")
                .value_name("N")
                .default_value("1000")
                .value_parser(value_parser!(u32))
                .help("Maximum number of entries"),
        )
        .arg(output::json_flag())
}

/// Runs the subcommand.
pub fn run(auth: &AuthService, matches: &ArgMatches) -> Result<(), Failure> {
    let mut after = matches.get_one::<i64>("after").copied().unwrap_or(0);
    let mut left = matches.get_one::<u32>("limit").copied().unwrap_or(1_000);
    let row = |entry: ListedEntry| -> Vec<Value> {
        vec![
            entry.id.into(),
            entry.at.to_string().into(),
            entry.event.into(),
            entry.account.map(|id| id.to_string()).into(),
            entry.session.map(|id| id.to_string()).into(),
            entry.device.address.into(),
            entry.device.user_agent.into(),
            entry.detail.into(),
        ]
    };
    let headings = ["ID", "At", "Event", "Account", "Session", "Address", "Device", "Detail"];
    let mut listing = output::Listing::new(matches, &headings);
    while left > 0 {
        let page = auth.audit_after(after, left.min(output::PAGE)).map_err(failed)?;
        let Some(end) = page.last() else { break };
        after = end.id;
        left = left.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
        listing.page(page.into_iter().map(row).collect())?;
    }
    listing.end()
}
