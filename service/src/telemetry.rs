//! The log: one JSON line on stderr for each event, with times in RFC 3339 UTC.
//!
//! An event inside a request has the member `request.id`. No span is used for that, because a span costs more than a
//! whole request for the key set. Control and bidi characters in values are escaped, so that input can't forge a line or
//! control a terminal.

use std::{
    fmt::{self, Debug, Write},
    io,
    panic::{self, PanicHookInfo},
    str::FromStr,
    sync::Once,
};

use axum::http::HeaderValue;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
};

use crate::inert::{escape_json, is_active};

tokio::task_local! {
    static REQUEST_ID: HeaderValue;
}

/// The log filter: a level such as `info`, or a list such as `info,countermark::issuer=debug`.
#[derive(Debug)]
pub struct Filter(Targets);

/// The text is not a [`Filter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no log filter; write it like info, or info,countermark::issuer=debug")]
pub struct FilterError;

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        // Without this check, a misspelt level would count as a module name, and an empty one as `error`.
        let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
        let is_plain = |part: &str| match part.split_once('=') {
            Some((module, level)) => !module.is_empty() && is_level(level),
            None => is_level(part),
        };
        if !text.split(',').all(is_plain) {
            return Err(FilterError);
        }
        text.parse().map(Self).map_err(|_| FilterError)
    }
}

/// Starts logging to stderr, including panics. `false` when this process has a logger already.
#[must_use]
pub fn install(filter: Filter) -> bool {
    static PANICS: Once = Once::new();
    let installed = tracing::subscriber::set_global_default(subscriber(filter, io::stderr)).is_ok();
    if installed {
        PANICS.call_once(|| panic::set_hook(Box::new(log_panic)));
    }
    installed
}

/// The same log to another writer, for tests.
pub fn subscriber<W>(filter: Filter, writer: W) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let all = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE);
    all.with_writer(writer).event_format(JsonLine).finish().with(filter.0)
}

/// Runs `f` as part of the request `id`. Events that `f` logs carry the id.
pub(super) fn within_request<T>(id: &HeaderValue, f: impl FnOnce() -> T) -> T {
    REQUEST_ID.sync_scope(id.clone(), f)
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("without a message");
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(code.location = location, panic.message = message, "panicked");
}

/// Formats one event as one line of JSON.
struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        to.write_str(r#"{"timestamp":""#)?;
        SystemTime.format_time(&mut to)?;
        write!(to, r#"","level":"{}","target":""#, metadata.level())?;
        escape(&mut to, metadata.target())?;
        to.write_char('"')?;
        let mut members = Members { to, result: Ok(()) };
        let _ = REQUEST_ID.try_with(|id| members.text("request.id", id.to_str().unwrap_or_default()));
        event.record(&mut members);
        let Members { mut to, result } = members;
        result?;
        to.write_str("}\n")
    }
}

/// Writes each field as a member of the JSON object.
struct Members<'a> {
    to: Writer<'a>,
    result: fmt::Result,
}

impl Members<'_> {
    fn text(&mut self, name: &str, value: &str) {
        self.member(name, |to| {
            to.write_char('"')?;
            escape(to, value)?;
            to.write_char('"')
        });
    }

    fn raw(&mut self, name: &str, value: impl fmt::Display) {
        self.member(name, |to| write!(to, "{value}"));
    }

    fn member(&mut self, name: &str, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let name = name.strip_prefix("r#").unwrap_or(name);
        if self.result.is_ok() {
            self.result = write!(self.to, r#","{name}":"#).and_then(|()| value(&mut self.to));
        }
    }
}

impl Visit for Members<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.raw(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.raw(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.raw(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.raw(field.name(), value);
        } else {
            self.text(field.name(), &value.to_string());
        }
    }
}

/// Escapes text for JSON (RFC 8259 §7), and also every character that a terminal would obey or not show.
fn escape(to: &mut impl Write, text: &str) -> fmt::Result {
    for char in text.chars() {
        match char {
            '"' | '\\' => write!(to, "\\{char}")?,
            char if is_active(char) => {
                let mut escaped = String::new();
                escape_json(&mut escaped, char);
                to.write_str(&escaped)?;
            }
            char => to.write_char(char)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, log: impl FnOnce()) -> Vec<serde_json::Value> {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = subscriber(filter.parse().unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        assert!(!text.replace('\n', "").contains(is_active), "{text:?}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn input_cannot_forge_a_line() {
        let hostile = "a\r\n{\"level\":\"INFO\"}\u{1b}[2J\u{9b}2J\u{2028}\u{202e}\u{e0041}\"\\";
        let lines = logged("info", || {
            tracing::warn!(http.route = hostile, count = 3_u64, is_late = true, other = ?hostile, "{hostile}");
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["http.route"], hostile);
        assert_eq!(lines[0]["message"], hostile);
        assert_eq!(lines[0]["count"], 3);
        assert_eq!(lines[0]["level"], "WARN");
        assert!(lines[0]["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn the_filter_decides_what_is_logged() {
        let log = || {
            tracing::debug!("low");
            tracing::info!("high");
        };
        assert_eq!(logged("info", log).len(), 1);
        assert_eq!(logged("info,countermark_service=debug", log).len(), 2);
        for bad in ["", "info,=", "verbose", "shared=", "=debug", "info,,warn", "shared=loud"] {
            assert_eq!(bad.parse::<Filter>().unwrap_err(), FilterError, "{bad}");
        }
    }

    #[test]
    fn an_event_inside_a_request_names_it() {
        let id = HeaderValue::from_static("abc");
        let lines = logged("info", || within_request(&id, || tracing::info!("inside")));
        assert_eq!(lines[0]["request.id"], "abc");
    }
}
