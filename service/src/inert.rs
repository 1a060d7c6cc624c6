//! Text that others typed, made inert: a terminal or a log viewer shows each character where it stands, and obeys none.
//! Control characters, characters that change the direction of writing (U+202E), and characters that nobody sees are
//! written as escapes.

use std::{borrow::Cow, fmt::Write as _};

use icu_properties::props::{
    BinaryProperty as _, DefaultIgnorableCodePoint, EnumeratedProperty as _, GeneralCategory,
};

/// `true` for a character that is not shown as itself: control, format (bidi), line separator, ignorable, private, or
/// without a meaning yet.
#[must_use]
pub fn is_active(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    DefaultIgnorableCodePoint::for_char(c)
        || matches!(
            GeneralCategory::for_char(c),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
                | GeneralCategory::PrivateUse
                | GeneralCategory::Surrogate
                | GeneralCategory::Unassigned
        )
}

/// The text on one line, with each active character as an escape like `\u{202e}`.
#[must_use]
pub fn inert(text: &str) -> Cow<'_, str> {
    escaped(text, |to, c| {
        to.extend(c.escape_unicode());
    })
}

/// JSON text with each active character as JSON writes it (`\u202e`). It is the same JSON.
#[must_use]
pub fn inert_json(json: &str) -> Cow<'_, str> {
    escaped(json, escape_json)
}

/// Writes a character as JSON escapes (RFC 8259 §7).
pub(crate) fn escape_json(to: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing to a text succeeds.
        let _ = write!(to, "\\u{unit:04x}");
    }
}

fn escaped(text: &str, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(is_active) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_active(c) {
            escape(&mut escaped, c);
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_characters_are_shown_as_escapes_and_others_as_they_are() {
        for c in [
            '\0',
            '\t',
            '\n',
            '\r',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202b}',
            '\u{202c}',
            '\u{202d}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2067}',
            '\u{2068}',
            '\u{2069}',
            '\u{206a}',
            '\u{3164}',
            '\u{e000}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{fffe}',
            '\u{e0001}',
            '\u{e0100}',
            '\u{f0000}',
        ] {
            let shown = inert(&format!("a{c}b")).into_owned();
            assert_eq!(shown, format!("a\\u{{{:x}}}b", u32::from(c)));
            assert_eq!(inert(&shown), shown, "what is inert stays as it is");
            let text = format!("a{c}\"b");
            let json = serde_json::to_string(&text).unwrap();
            let inert = inert_json(&json);
            assert!(!inert.contains(is_active), "{inert:?}");
            assert_eq!(serde_json::from_str::<String>(&inert).unwrap(), text);
        }
        for text in ["", "curl/8.5 (x; y)", "Zürich", "日本語", "🎉", "עברית", "عربي", "e\u{301}", "a\u{a0}b"]
        {
            assert!(matches!(inert(text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
    }
}
