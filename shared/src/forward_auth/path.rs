//! The path of an original request. Proxies and services differ in how they read unusual paths. One may take a path for
//! `/public/…` that another takes for `/admin/…`. Here a path has one reading, or several readings on which the rules
//! must agree. Any other path is refused.

use super::{
    path_error::PathError,
    spelling::{Spelling, has_escape, plain},
};

/// Largest target, with its query: 8 KiB.
const MAX_TARGET_BYTES: usize = 8 * 1024;

/// A path, decoded once and split into segments. A slash at the end makes no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalPath {
    /// How servers may read it. The first one is the path as it was sent; no two are the same.
    readings: Vec<Reading>,
}

/// A way to read the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) spelling: Spelling,
    /// Whether the segments are in their [plain](plain) form.
    pub(super) is_plain: bool,
}

impl OriginalPath {
    /// Parses the path of `target`. `target` is the request target as it was sent, with its query (RFC 9112 §3.2.1).
    ///
    /// # Errors
    /// [`PathError`] when servers may read the path in different ways.
    pub fn parse(target: &str) -> Result<Self, PathError> {
        if target.len() > MAX_TARGET_BYTES {
            return Err(PathError::TooLong);
        }
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let path = path.strip_prefix('/').ok_or(PathError::NoPath)?;
        let mut sent = path.split('/').map(decode).collect::<Result<Vec<_>, _>>()?;
        without_last_empty(&mut sent);
        let resolved = resolve(&sent)?;
        let [plain_sent, plain_resolved] = [&sent, &resolved]
            .map(|segments| segments.iter().map(|segment| plain(segment)).collect::<Result<Vec<_>, _>>());
        let all = [(sent, false), (resolved, false), (plain_sent?, true), (plain_resolved?, true)];
        let mut readings: Vec<Reading> = Vec::with_capacity(1);
        for (segments, is_plain) in all {
            if readings.iter().all(|reading| reading.spelling.exact() != segments) {
                readings.push(Reading { spelling: Spelling::of(segments), is_plain });
            }
        }
        Ok(Self { readings })
    }

    /// The readings of the path. A plain path has one.
    pub fn readings(&self) -> impl Iterator<Item = &[String]> {
        self.readings.iter().map(|reading| reading.spelling.exact())
    }

    pub(super) fn all(&self) -> &[Reading] {
        &self.readings
    }
}

/// Decodes the escapes of a segment, once.
fn decode(segment: &str) -> Result<String, PathError> {
    if !segment.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte)) {
        return Err(PathError::Character);
    }
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let digits = [bytes.next(), bytes.next()].map(|digit| digit.and_then(hex));
            let [Some(high), Some(low)] = digits else { return Err(PathError::Escape) };
            match high << 4 | low {
                b'/' | b'\\' | b'?' | b'#' | b'.' => return Err(PathError::Separator),
                byte => byte,
            }
        } else {
            byte
        });
    }
    let decoded = String::from_utf8(decoded).map_err(|_| PathError::Escape)?;
    if decoded.chars().any(|char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')) {
        Err(PathError::Character)
    } else if decoded.contains(":$") {
        // Windows takes `admin::$DATA` for `admin`.
        Err(PathError::Separator)
    } else if decoded.contains(';') {
        Err(PathError::Parameters)
    } else if has_escape(decoded.as_bytes()) {
        // A server that decodes twice would see another path.
        Err(PathError::Escape)
    } else {
        Ok(decoded)
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Without dot segments (RFC 3986 §5.2.4), and with double slashes merged.
fn resolve(sent: &[String]) -> Result<Vec<String>, PathError> {
    let mut resolved: Vec<String> = Vec::with_capacity(sent.len());
    for segment in sent {
        match segment.as_str() {
            "" | "." => {}
            // Servers disagree on whether a double slash is a segment that `..` removes.
            ".." if sent.iter().any(String::is_empty) => return Err(PathError::Nowhere),
            ".." => drop(resolved.pop().ok_or(PathError::Nowhere)?),
            _ => resolved.push(segment.clone()),
        }
    }
    Ok(resolved)
}

fn without_last_empty(segments: &mut Vec<String>) {
    if segments.last().is_some_and(String::is_empty) {
        segments.pop();
    }
}

#[cfg(test)]
mod tests;
