//! [`PathError`]: why a path has no reading.

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
    /// An escaped `/`, `\`, `?`, `#` or `.`, or another spelling of one of them or of `;` or `%`, such as a fullwidth form; the
    /// name of a stream of a file (`admin::$DATA`). Some servers end or cut the path there.
    #[error("the path has a separator in disguise")]
    Separator,
    /// A `;`: some servers cut it off with all that follows, others do not.
    #[error("the path has parameters")]
    Parameters,
    /// Dot segments that lead above the root, or occur together with double slashes; a segment of dots and blanks alone.
    #[error("the path leads nowhere in particular")]
    Nowhere,
}
