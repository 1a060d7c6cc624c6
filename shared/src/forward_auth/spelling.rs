//! How a segment of a path may be spelled. File systems and frameworks take some spellings for the same: `ADMIN` and `admin`,
//! `admin.` and `admin` (Windows), a fullwidth `ａdmin` and `admin` (best fit), `é` as one code point and as two (macOS).

use unicode_normalization::UnicodeNormalization as _;

use super::path_error::PathError;

/// Segments as they are, and in one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spelling {
    exact: Vec<String>,
    in_one_case: Vec<String>,
}

impl Spelling {
    pub(super) fn of(exact: Vec<String>) -> Self {
        let in_one_case = exact.iter().map(|segment| in_one_case(segment)).collect();
        Self { exact, in_one_case }
    }

    pub(super) fn exact(&self) -> &[String] {
        &self.exact
    }

    /// The segments, in one case if `any_case`.
    pub(super) fn segments(&self, any_case: bool) -> &[String] {
        if any_case { &self.in_one_case } else { &self.exact }
    }
}

/// Both ways, because some letters have no lower case of their own: `ı` is `I` in upper case.
fn in_one_case(segment: &str) -> String {
    if segment.is_ascii() {
        return segment.to_ascii_lowercase();
    }
    segment.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// The plain form of a segment: compatible characters as one (NFKC), without invisible ones, without blanks around it, and
/// without dots at its end. Dot segments and the empty segment stay.
///
/// # Errors
/// [`PathError`] when the plain form would split the path, or is empty.
pub(super) fn plain(segment: &str) -> Result<String, PathError> {
    if matches!(segment, "" | "." | "..") {
        return Ok(segment.to_owned());
    }
    if segment.is_ascii() {
        return trimmed(segment);
    }
    let visible: String = segment.chars().filter(|&char| !is_invisible(char)).collect();
    let folded: String = visible.nfkc().filter(|&char| !is_invisible(char)).collect();
    let percents = |text: &str| text.matches('%').count();
    if folded.contains(['/', '\\', '?', '#', ';'])
        || folded.chars().any(char::is_control)
        || percents(&folded) != percents(segment)
        || has_escape(folded.as_bytes())
    {
        return Err(PathError::Separator);
    }
    trimmed(&folded)
}

fn trimmed(segment: &str) -> Result<String, PathError> {
    let trimmed = segment.trim_start().trim_end_matches(|char: char| char == '.' || char.is_whitespace());
    if trimmed.is_empty() { Err(PathError::Nowhere) } else { Ok(trimmed.to_owned()) }
}

/// Characters that file systems and people do not see (the property `Default_Ignorable_Code_Point`).
fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether the text has an escape: `%2f`, or `%u002f` as IIS reads it.
pub(super) fn has_escape(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|window| {
        window[0] == b'%'
            && (window[1..].iter().all(u8::is_ascii_hexdigit) || window[1].eq_ignore_ascii_case(&b'u'))
    })
}
