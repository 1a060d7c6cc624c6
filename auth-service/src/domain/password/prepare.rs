//! The prepared form of a password: `OpaqueString` (RFC 8265 §4.2). The same password typed on two machines gets one form: `é` as
//! one code point or as two, a blank as any keyboard writes it. Case and width stay as they are.

use icu_properties::props::{
    BinaryProperty as _, CanonicalCombiningClass, DefaultIgnorableCodePoint, EnumeratedProperty as _,
    GeneralCategory, HangulSyllableType, JoiningType, NoncharacterCodePoint, Script,
};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// The text has a character that no password may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused;

/// The prepared form: every other blank is a space, and the text is in Unicode's form NFC.
pub(super) fn prepare(text: &str) -> Result<Zeroizing<String>, Refused> {
    let is_blank = |c: char| !c.is_ascii() && GeneralCategory::for_char(c) == GeneralCategory::SpaceSeparator;
    let mapped: Zeroizing<String> =
        Zeroizing::new(text.chars().map(|c| if is_blank(c) { ' ' } else { c }).collect());
    let prepared: Zeroizing<String> = Zeroizing::new(mapped.nfc().collect());
    let chars = Zeroizing::new(prepared.chars().collect::<Vec<_>>());
    let is_good = (0..chars.len()).all(|place| may_stand(&chars, place));
    if is_good { Ok(prepared) } else { Err(Refused) }
}

/// Whether the character at `place` is of the `FreeformClass` (RFC 8264 §4.3, §8).
fn may_stand(text: &[char], place: usize) -> bool {
    use GeneralCategory as Kind;
    let c = text[place];
    match c {
        // RFC 5892 §2.6
        ' '..='~' | 'ß' | 'ς' | '\u{6FD}' | '\u{6FE}' | '\u{F0B}' | '\u{3007}' => return true,
        '\u{640}' | '\u{7FA}' | '\u{302E}' | '\u{302F}' | '\u{3031}'..='\u{3035}' | '\u{303B}' => {
            return false;
        }
        '\u{200C}' | '\u{200D}' => return joins(text, place),
        '\u{B7}'
        | '\u{375}'
        | '\u{5F3}'
        | '\u{5F4}'
        | '\u{30FB}'
        | '\u{660}'..='\u{669}'
        | '\u{6F0}'..='\u{6F9}' => {
            return fits(text, place);
        }
        _ => {}
    }
    let is_old_hangul = matches!(
        HangulSyllableType::for_char(c),
        HangulSyllableType::LeadingJamo | HangulSyllableType::VowelJamo | HangulSyllableType::TrailingJamo
    );
    if is_old_hangul || DefaultIgnorableCodePoint::for_char(c) || NoncharacterCodePoint::for_char(c) {
        return false;
    }
    !matches!(
        GeneralCategory::for_char(c),
        Kind::Control
            | Kind::Unassigned
            | Kind::PrivateUse
            | Kind::Surrogate
            | Kind::Format
            | Kind::LineSeparator
            | Kind::ParagraphSeparator
    )
}

/// A joiner stands behind a virama; a non-joiner also between letters that would join (RFC 5892 A.1, A.2).
fn joins(text: &[char], place: usize) -> bool {
    let before = place.checked_sub(1).map(|at| text[at]);
    if before.is_some_and(|c| CanonicalCombiningClass::for_char(c) == CanonicalCombiningClass::Virama) {
        return true;
    }
    let joining = |c: &char| JoiningType::for_char(*c);
    let seen = |kind: &JoiningType| *kind != JoiningType::Transparent;
    let left = text[..place].iter().rev().map(joining).find(seen);
    let right = text[place + 1..].iter().map(joining).find(seen);
    text[place] == '\u{200C}'
        && matches!(left, Some(JoiningType::LeftJoining | JoiningType::DualJoining))
        && matches!(right, Some(JoiningType::RightJoining | JoiningType::DualJoining))
}

/// The characters that need another one beside them, or exclude one (RFC 5892 A.3 to A.9).
fn fits(text: &[char], place: usize) -> bool {
    let before = place.checked_sub(1).and_then(|at| text.get(at)).copied();
    let after = text.get(place + 1).copied();
    let is_of = |c: Option<char>, script: Script| c.is_some_and(|c| Script::for_char(c) == script);
    match text[place] {
        '\u{B7}' => before == Some('l') && after == Some('l'),
        '\u{375}' => is_of(after, Script::Greek),
        '\u{5F3}' | '\u{5F4}' => is_of(before, Script::Hebrew),
        '\u{30FB}' => {
            let scripts = [Script::Hiragana, Script::Katakana, Script::Han];
            text.iter().any(|c| *c != '\u{30FB}' && scripts.contains(&Script::for_char(*c)))
        }
        '\u{660}'..='\u{669}' => !text.iter().any(|c| ('\u{6F0}'..='\u{6F9}').contains(c)),
        _ => !text.iter().any(|c| ('\u{660}'..='\u{669}').contains(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_password_have_one_form() {
        for (typed, form) in [
            ("correct horse", "correct horse"),
            ("caf\u{e9} au lait", "café au lait"),
            ("cafe\u{301} au lait", "café au lait"),
            ("cafe\u{301}\u{a0}au\u{2003}lait", "café au lait"),
            ("a\u{1680}b\u{2000}c\u{200a}d\u{202f}e\u{205f}f\u{3000}g", "a b c d e f g"),
            ("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}", "한글"),
            ("\u{212b}ngstro\u{308}m", "Ångström"),
            ("o\u{328}\u{304}", "ǭ"),
            ("  two blanks  ", "  two blanks  "),
            ("UPPER ｗｉｄｅ ﬁ", "UPPER ｗｉｄｅ ﬁ"),
            ("ΣΊΣΥΦΟΣ", "ΣΊΣΥΦΟΣ"),
            ("πάσσς ß", "πάσσς ß"),
            ("emoji 🐎🔋", "emoji 🐎🔋"),
            ("∑ € © ½ ²", "∑ € © ½ ²"),
            ("col·lega", "col·lega"),
            ("正しい馬・電池", "正しい馬・電池"),
            ("٠١٢٣٤٥٦٧", "٠١٢٣٤٥٦٧"),
            ("۰۱۲۳۴۵۶۷", "۰۱۲۳۴۵۶۷"),
            ("क्\u{200d}ष किताब", "क्\u{200d}ष किताब"),
            ("بی\u{200c}بی سی", "بی\u{200c}بی سی"),
            ("", ""),
        ] {
            assert_eq!(prepare(typed).as_deref().map(String::as_str), Ok(form), "{typed:?}");
        }
    }

    #[test]
    fn what_nobody_sees_or_types_twice_alike_is_refused() {
        for typed in [
            "tab\there",
            "line\nbreak",
            "nul\0",
            "del\u{7f}",
            "c1\u{85}",
            "soft\u{ad}hyphen",
            "zero\u{200b}width",
            "join\u{200d}er",
            "non\u{200c}joiner",
            "\u{feff}bom",
            "bidi\u{202e}",
            "iso\u{2066}late",
            "mark\u{200e}",
            "word\u{2060}joiner",
            "variation\u{fe0f}",
            "tag\u{e0041}",
            "private\u{e000}",
            "plane\u{f0000}",
            "non\u{ffff}",
            "non\u{fdd0}",
            "unassigned\u{378}",
            "line\u{2028}",
            "paragraph\u{2029}",
            "kashida\u{640}",
            "jamo\u{1100}",
            "a·b",
            "l·a",
            "٠۰",
            "katakana・dot",
            "geresh\u{5f3}",
            "keraia\u{375}x",
            "vertical\u{303b}",
            "arabic\u{600}sign",
            "mongolian\u{180e}",
            "filler\u{3164}",
            "cgj\u{34f}",
        ] {
            assert_eq!(prepare(typed), Err(Refused), "{typed:?}");
        }
    }
}
