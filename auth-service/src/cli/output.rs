//! The output of commands: a table for people, or JSON for programs with `--json`. Text that others typed is printed
//! inert, as an escape for each character that a terminal would obey.

use std::io::{self, Write as _};

use clap::{Arg, ArgAction, ArgMatches};
use countermark_service::{
    exit::Failure,
    inert::{inert, inert_json},
};
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

/// The flag `--json`.
#[must_use]
pub fn json_flag() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON, for programs")
}

/// Rows that one command reads at once, and prints before it reads more.
pub const PAGE: u32 = 500;

/// Prints rows as a table with `headings`. With `--json`, prints an array of objects, whose member names are the
/// headings in lower case with underscores.
///
/// # Errors
/// [`Failure`] when writing fails, for example because the pipe is closed.
pub fn rows(matches: &ArgMatches, headings: &[&str], rows: Vec<Vec<Value>>) -> Result<(), Failure> {
    let mut listing = Listing::new(matches, headings);
    listing.page(rows)?;
    listing.end()
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Table,
    /// One JSON array.
    Array,
    /// A JSON object on each line.
    Lines,
}

/// A list that is printed page by page, so that it is never in memory as a whole. The columns of a table are as wide as the
/// pages so far need.
pub struct Listing {
    form: Form,
    headings: Vec<String>,
    widths: Vec<usize>,
    is_begun: bool,
    has_rows: bool,
}

impl Listing {
    /// A list with those columns. Nothing is printed yet.
    #[must_use]
    pub fn new(matches: &ArgMatches, headings: &[&str]) -> Self {
        let headings: Vec<_> = headings.iter().map(|&heading| heading.to_owned()).collect();
        Self {
            form: if matches.get_flag("json") { Form::Array } else { Form::Table },
            widths: vec![0; headings.len()],
            headings,
            is_begun: false,
            has_rows: false,
        }
    }

    /// A list that goes on for ever. With `--json`, each row is an object on a line of its own.
    #[must_use]
    pub fn without_end(matches: &ArgMatches, headings: &[&str]) -> Self {
        let listing = Self::new(matches, headings);
        let form = if listing.form == Form::Table { Form::Table } else { Form::Lines };
        Self { form, ..listing }
    }

    /// Prints some rows.
    pub fn page(&mut self, rows: Vec<Vec<Value>>) -> Result<(), Failure> {
        let text = if self.form == Form::Table { self.lines(&rows) } else { self.objects(rows) };
        self.is_begun = true;
        print(&text)
    }

    /// Prints what follows the last row.
    pub fn end(mut self) -> Result<(), Failure> {
        if !self.is_begun {
            self.page(Vec::new())?;
        }
        if self.form == Form::Array { print("]\n") } else { Ok(()) }
    }

    fn objects(&mut self, rows: Vec<Vec<Value>>) -> String {
        let names: Vec<_> =
            self.headings.iter().map(|heading| heading.to_lowercase().replace(' ', "_")).collect();
        let mut text = if self.is_begun || self.form == Form::Lines { String::new() } else { "[".to_owned() };
        for row in rows {
            if self.has_rows && self.form == Form::Array {
                text.push(',');
            }
            self.has_rows = true;
            text.push_str(&inert_json(&names.iter().cloned().zip(row).collect::<Value>().to_string()));
            if self.form == Form::Lines {
                text.push('\n');
            }
        }
        text
    }

    fn lines(&mut self, rows: &[Vec<Value>]) -> String {
        let heading = (!self.is_begun).then(|| self.headings.clone());
        let cells = rows.iter().map(|row| row.iter().map(readable).collect());
        let lines: Vec<Vec<String>> = heading.into_iter().chain(cells).collect();
        for (column, width) in self.widths.iter_mut().enumerate() {
            let widest = lines.iter().map(|line| line[column].width()).max();
            *width = (*width).max(widest.unwrap_or(0));
        }
        let mut text = String::new();
        for line in &lines {
            // A terminal shows some characters as two columns, and some as none.
            let padded = |(cell, width): (&String, &usize)| {
                let room = width.saturating_sub(cell.width());
                format!("{cell}{:room$}", "")
            };
            let cells = line.iter().zip(&self.widths).map(padded);
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

/// Prints one sentence. With `--json`, prints the object instead.
///
/// # Errors
/// [`Failure`] when writing fails, for example because the pipe is closed.
pub fn said(matches: &ArgMatches, sentence: &str, object: &Value) -> Result<(), Failure> {
    if matches.get_flag("json") {
        return print(&format!("{}\n", inert_json(&object.to_string())));
    }
    print(&format!("{}\n", inert_lines(sentence)))
}

/// Prints a progress message to stderr.
///
/// # Errors
/// [`Failure`] when writing fails, for example because the pipe is closed.
pub fn progress(sentence: &str) -> Result<(), Failure> {
    writeln!(io::stderr(), "{}", inert_lines(sentence)).map_err(Failure::start)
}

/// The lines of a sentence, each inert.
fn inert_lines(sentence: &str) -> String {
    sentence.split('\n').map(inert).collect::<Vec<_>>().join("\n")
}

fn readable(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        // A name that a user chose can't control the terminal.
        Value::String(text) => inert(text).into_owned(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(readable).collect::<Vec<_>>().join(" "),
        Value::Bool(value) => if *value { "yes" } else { "no" }.to_owned(),
        other => other.to_string(),
    }
}

fn print(text: &str) -> Result<(), Failure> {
    io::stdout().write_all(text.as_bytes()).map_err(Failure::start)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_a_terminal_shows_them() {
        let mut listing = Listing {
            form: Form::Table,
            headings: vec!["Name".to_owned(), "N".to_owned()],
            widths: vec![0; 2],
            is_begun: false,
            has_rows: false,
        };
        let names = ["日本", "a", "e\u{301}té", "😀", ""];
        let rows: Vec<Vec<Value>> = names.iter().map(|name| vec![json!(name), json!(1)]).collect();
        let text = listing.lines(&rows);
        for line in text.lines().skip(1) {
            let (cell, _) = line.rsplit_once('1').expect("the number");
            assert_eq!(cell.width(), 6, "{line:?}");
        }
    }

    #[test]
    fn pages_make_one_array_also_when_the_first_is_empty() {
        let mut listing = Listing {
            form: Form::Array,
            headings: vec!["ID".to_owned()],
            widths: vec![0],
            is_begun: false,
            has_rows: false,
        };
        let mut text = String::new();
        for page in [vec![], vec![vec![json!(1)], vec![json!(2)]], vec![], vec![vec![json!(3)]]] {
            text.push_str(&listing.objects(page));
            listing.is_begun = true;
        }
        assert_eq!(text, r#"[{"id":1},{"id":2},{"id":3}"#);
    }
}
