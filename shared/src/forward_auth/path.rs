//! The path of an original request. Proxies and services differ in how they read unusual paths. One may take a path for
//! `/public/…` that another takes for `/admin/…`. Here a path has one reading, or several readings on which the rules
//! must agree. Any other path is refused.

/// Largest target, with its query: 8 KiB.
const MAX_TARGET_BYTES: usize = 8 * 1024;

/// A path, decoded once and split into segments. A slash at the end makes no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalPath {
    /// Segments as they were sent.
    literal: Vec<String>,
    /// Segments without dot segments (RFC 3986 §5.2.4) and with double slashes merged. `None` when that gives the same
    /// path.
    resolved: Option<Vec<String>>,
}

/// Why a path is refused independently of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The target does not begin with a slash.
    #[error("the target is no path")]
    NoPath,
    /// The target is longer than 8 KiB.
    #[error("the target is too long")]
    TooLong,
    /// The path has a character that must be escaped, or a control character, escaped or not.
    #[error("the path has a character that no path has")]
    Character,
    /// A percent sign without two hexadecimal digits, bytes that are not UTF-8, or an escape within an escape.
    #[error("the path has a wrong escape")]
    Escape,
    /// An escaped slash or backslash.
    #[error("the path has an escaped separator")]
    Separator,
    /// A `;`: some servers cut it off with all that follows, others do not.
    #[error("the path has parameters")]
    Parameters,
    /// Dot segments that lead above the root, or occur together with double slashes.
    #[error("the path leads nowhere in particular")]
    Nowhere,
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
        let mut literal = path.split('/').map(decode).collect::<Result<Vec<_>, _>>()?;
        without_last_empty(&mut literal);
        let is_odd = |segment: &String| matches!(segment.as_str(), "" | "." | "..");
        let resolved = if literal.iter().any(is_odd) { Some(resolve(&literal)?) } else { None };
        Ok(Self { literal, resolved })
    }

    /// The readings of the path. A plain path has one.
    pub fn readings(&self) -> impl Iterator<Item = &[String]> {
        [Some(self.literal.as_slice()), self.resolved.as_deref()].into_iter().flatten()
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
            high << 4 | low
        } else {
            byte
        });
    }
    let decoded = String::from_utf8(decoded).map_err(|_| PathError::Escape)?;
    if decoded.chars().any(char::is_control) {
        Err(PathError::Character)
    } else if decoded.contains(['/', '\\']) {
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

fn has_escape(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|window| window[0] == b'%' && window[1..].iter().all(u8::is_ascii_hexdigit))
}

fn resolve(literal: &[String]) -> Result<Vec<String>, PathError> {
    let mut resolved: Vec<String> = Vec::new();
    for segment in literal {
        match segment.as_str() {
            "" | "." => {}
            // Servers disagree on whether a double slash is a segment that `..` removes.
            ".." if literal.iter().any(String::is_empty) => return Err(PathError::Nowhere),
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
mod tests {
    use super::*;

    fn readings(target: &str) -> Vec<String> {
        let path = OriginalPath::parse(target).unwrap();
        path.readings().map(|segments| format!("/{}", segments.join("/"))).collect()
    }

    #[test]
    fn a_plain_path_has_one_reading() {
        assert_eq!(readings("/"), ["/"]);
        assert_eq!(readings("/a/b?x=/../y"), ["/a/b"]);
        assert_eq!(readings("/a/b/"), ["/a/b"]);
        assert_eq!(readings("/%61dmin/caf%C3%A9%20x/100%25"), ["/admin/caf\u{e9} x/100%"]);
        assert_eq!(readings("/a/...//x")[1], "/a/.../x");
    }

    #[test]
    fn dot_segments_and_doubled_slashes_are_read_as_sent_and_resolved() {
        assert_eq!(readings("/public/../admin"), ["/public/../admin", "/admin"]);
        assert_eq!(readings("/public/%2e%2E/admin"), ["/public/../admin", "/admin"]);
        assert_eq!(readings("/a/./b"), ["/a/./b", "/a/b"]);
        assert_eq!(readings("//admin"), ["//admin", "/admin"]);
        assert_eq!(readings("/a/.."), ["/a/..", "/"]);
    }

    #[test]
    fn what_servers_disagree_on_is_refused() {
        use PathError::{Character, Escape, NoPath, Nowhere, Parameters, Separator, TooLong};
        let long = format!("/{}", "a".repeat(MAX_TARGET_BYTES));
        for (target, error) in [
            ("", NoPath),
            ("*", NoPath),
            ("admin", NoPath),
            ("http://host/admin", NoPath),
            (long.as_str(), TooLong),
            ("/a b", Character),
            ("/a\0", Character),
            ("/a%00", Character),
            ("/a%0d%0aX: y", Character),
            ("/a#b", Character),
            ("/caf\u{e9}", Character),
            ("/a\\b", Character),
            ("/a%5cb", Separator),
            ("/public%2f..%2fadmin", Separator),
            ("/%", Escape),
            ("/%2", Escape),
            ("/%zz", Escape),
            ("/%+1", Escape),
            ("/%ff", Escape),
            ("/%c0%af", Escape),
            ("/public/%252e%252e/admin", Escape),
            ("/public/..;/admin", Parameters),
            ("/admin;x=y", Parameters),
            ("/admin%3bx", Parameters),
            ("/..", Nowhere),
            ("/a/../../b", Nowhere),
            ("/a//../b", Nowhere),
        ] {
            assert_eq!(OriginalPath::parse(target), Err(error), "{target:.40}");
        }
    }
}
