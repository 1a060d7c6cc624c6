//! A pattern of paths: segments, in which a star stands for any text. `/**` at its end stands for everything below.

use super::{
    path::Reading,
    spelling::{Spelling, plain},
};

/// A path pattern with stars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// As it is written.
    written: Spelling,
    /// In its [plain](plain) form.
    plain: Spelling,
    /// Whether the pattern ends with `/**`.
    is_open: bool,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let refused = |problem: &str| Err(format!("path {text:?} {problem}"));
        let Some(path) = text.strip_prefix('/') else { return refused("must begin with a slash") };
        let is_open = path == "**" || path.ends_with("/**");
        let path = if is_open { &path[..path.len() - 2] } else { path };
        let path = path.strip_suffix('/').unwrap_or(path);
        let segments: Vec<_> = path.split('/').filter(|_| !path.is_empty()).map(str::to_owned).collect();
        if segments.iter().any(|segment| matches!(segment.as_str(), "" | "." | "..")) {
            return refused("must have no empty and no dot segments");
        }
        if segments.iter().any(|segment| segment.contains("**")) {
            return refused("may have ** as its last segment alone");
        }
        // Patterns are written unescaped: é, not %C3%A9.
        if text.contains(|char: char| char.is_control() || "%?#;\\".contains(char)) {
            return refused("must be written without escapes, and without any of % ? # ; \\");
        }
        let Ok(plain) = segments.iter().map(|segment| plain(segment)).collect::<Result<Vec<_>, _>>() else {
            return refused(
                "has a segment of blanks and dots alone, or another spelling of one of / . % ? # ; \\",
            );
        };
        Ok(Self { written: Spelling::of(segments), plain: Spelling::of(plain), is_open })
    }

    /// Whether the reading matches: a plain one the plain form of the pattern.
    pub(super) fn matches(&self, reading: &Reading, in_any_case: bool) -> bool {
        let spelling = if reading.is_plain { &self.plain } else { &self.written };
        let (pattern, path) = (spelling.segments(in_any_case), reading.spelling.segments(in_any_case));
        let fits = if self.is_open { path.len() >= pattern.len() } else { path.len() == pattern.len() };
        fits && pattern.iter().zip(path).all(|(pattern, segment)| star_matches(pattern, segment))
    }
}

/// Whether `segment` matches `pattern`. A star stands for any text, also for the empty text, but an empty segment
/// matches no star.
fn star_matches(pattern: &str, segment: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == segment };
    if segment.is_empty() {
        return false;
    }
    let Some(mut left) = segment.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(end)
}
