//! The output of commands: a table for people, or JSON for programs with `--json`.

use std::io::{self, Write as _};

use clap::{Arg, ArgAction, ArgMatches};
use countermark_service::exit::Failure;
use serde_json::Value;

/// The flag `--json`.
#[must_use]
pub fn json_flag() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON, for programs")
}

/// Prints rows as a table with `headings`. With `--json`, prints an array of objects, whose member names are the
/// headings in lower case with underscores.
///
/// # Errors
/// [`Failure`] when writing fails, for example because the pipe is closed.
pub fn rows(matches: &ArgMatches, headings: &[&str], rows: Vec<Vec<Value>>) -> Result<(), Failure> {
    if matches.get_flag("json") {
        let object = |row: Vec<Value>| {
            headings
                .iter()
                .map(|heading| heading.to_lowercase().replace(' ', "_"))
                .zip(row)
                .collect::<Value>()
        };
        return print(&format!("{}\n", rows.into_iter().map(object).collect::<Value>()));
    }
    let lines = rows.iter().map(|row| row.iter().map(readable).collect::<Vec<_>>());
    let lines: Vec<_> =
        [headings.iter().map(|&heading| heading.to_owned()).collect()].into_iter().chain(lines).collect();
    let widths: Vec<_> = (0..headings.len())
        .map(|column| lines.iter().map(|line: &Vec<String>| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<_> =
            line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    print(&text)
}

/// Prints one sentence. With `--json`, prints the object instead.
///
/// # Errors
/// [`Failure`] when writing fails, for example because the pipe is closed.
pub fn said(matches: &ArgMatches, sentence: &str, object: &Value) -> Result<(), Failure> {
    if matches.get_flag("json") { print(&format!("{object}\n")) } else { print(&format!("{sentence}\n")) }
}

/// Prints a progress message to stderr.
///
/// # Errors
/// [`Failure`] when writing fails, for example because the pipe is closed.
pub fn progress(sentence: &str) -> Result<(), Failure> {
    writeln!(io::stderr(), "{sentence}").map_err(Failure::start)
}

fn readable(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        // Control characters are replaced, so that a name that a user chose can't control the terminal.
        Value::String(text) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(readable).collect::<Vec<_>>().join(" "),
        Value::Bool(value) => if *value { "yes" } else { "no" }.to_owned(),
        other => other.to_string(),
    }
}

fn print(text: &str) -> Result<(), Failure> {
    io::stdout().write_all(text.as_bytes()).map_err(Failure::start)
}
