//! Email addresses of accounts, in one canonical form, so that nobody can make an address that looks like another's.
//!
//! The part before the `@` is trimmed, NFKC and lower case, and has letters, marks and digits (the letters and digits of
//! RFC 8264 §4.2.1), and the signs of RFC 5322's `atext`. The domain is a U-label domain of UTS 46, whatever form was
//! typed. Addresses that earlier versions stored stay as they are, and are found by the form of that time.

mod scripts;

use std::{fmt, str::FromStr};

use icu_properties::props::{
    BinaryProperty as _, DefaultIgnorableCodePoint, EnumeratedProperty as _, GeneralCategory,
};
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization as _;

/// Largest length of an address, in bytes (RFC 5321 §4.5.3.1.3).
const MAX_BYTES: usize = 254;

/// Largest length of the part before the `@`, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// An email address in its canonical form, or in the form in which an earlier version stored it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Email(String);

/// The text is not an acceptable email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// It has no name and domain, or is too long.
    #[error("The email address must look like name@example.com and have at most 254 bytes")]
    Shape,
    /// It has this character.
    #[error(
        "The email address has the character U+{:04X}, which is not allowed there: write letters, digits, and the \
         signs . _ - + and a few others",
        u32::from(*.0)
    )]
    Character(char),
    /// A label mixes scripts, such as Latin and Cyrillic, or digits of two scripts.
    #[error("The email address mixes letters of several scripts in one word; write each word in one script")]
    MixedScripts,
    /// A label has only letters that look like Latin ones.
    #[error(
        "The email address has a word of letters that look like Latin ones but are not; write it in Latin letters"
    )]
    LooksLatin,
    /// The domain is no domain name.
    #[error("The part after the @ of the email address is no domain name; write it like example.com")]
    Domain,
}

impl Email {
    /// An address from the database.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The addresses under which an account with the typed address may be stored, in the order to look. The form of
    /// earlier versions comes first, so that each account of theirs is found by the texts that always found it.
    #[must_use]
    pub fn spellings(typed: &str) -> Vec<Self> {
        let mut spellings: Vec<Self> = earlier_form(typed).into_iter().map(Self).collect();
        if let Ok(canonical) = typed.parse::<Self>() {
            let in_ascii = canonical.with_ascii_domain();
            for spelling in [Some(canonical), in_ascii].into_iter().flatten() {
                if !spellings.contains(&spelling) {
                    spellings.push(spelling);
                }
            }
        }
        spellings
    }

    /// One text for all spellings of an address, to count tries by. It is empty for a text that is no address.
    #[must_use]
    pub fn key(typed: &str) -> String {
        let canonical = typed.parse::<Self>().ok().map(|email| email.0);
        canonical.or_else(|| earlier_form(typed)).unwrap_or_default()
    }

    /// `true` when both are spellings of one address.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self == other || Self::key(&self.0) == Self::key(&other.0)
    }

    /// The same address with A-labels in the domain (RFC 5890 §2.3.2.1).
    fn with_ascii_domain(&self) -> Option<Self> {
        let (name, domain) = self.0.split_once('@')?;
        to_ascii(domain).ok().map(|domain| Self(format!("{name}@{domain}")))
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        // NFKC can lengthen a name, but only within limits. A text that is far too long is refused before that work.
        if text.len() > 1_024 {
            return Err(InvalidEmail::Shape);
        }
        let text = text.trim();
        // Before NFKC and UTS 46, which drop some of them: an address with a hidden character is not made silently into
        // the address without it.
        if let Some(hidden) = text.chars().find(|&c| is_hidden(c)) {
            return Err(InvalidEmail::Character(hidden));
        }
        let folded = fold(text);
        let (name, domain) = folded.split_once('@').ok_or(InvalidEmail::Shape)?;
        if !(1..=MAX_NAME_BYTES).contains(&name.len()) || domain.is_empty() || domain.contains('@') {
            return Err(InvalidEmail::Shape);
        }
        if let Some(other) = name.chars().find(|&c| !is_of_name(c)) {
            return Err(InvalidEmail::Character(other));
        }
        let domain = canonical_domain(domain)?;
        scripts::check(&name.split(['.', '+']).chain(domain.split('.')).collect::<Vec<_>>())?;
        let canonical = format!("{name}@{domain}");
        if canonical.len() <= MAX_BYTES { Ok(Self(canonical)) } else { Err(InvalidEmail::Shape) }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// NFKC in lower case.
fn fold(text: &str) -> String {
    let lower = text.nfkc().collect::<String>().to_lowercase();
    // Lower case can undo NFKC (U+0130), so NFKC is applied again.
    lower.nfkc().collect()
}

/// The canonical form of earlier versions. `None` for a text that they refused.
fn earlier_form(text: &str) -> Option<String> {
    if text.len() > 1_024 {
        return None;
    }
    let canonical = fold(text.trim());
    let (name, domain) = canonical.split_once('@')?;
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '@';
    let is_legal = canonical.len() <= MAX_BYTES
        && (1..=MAX_NAME_BYTES).contains(&name.len())
        && !domain.is_empty()
        && name.chars().all(is_plain)
        && domain.chars().all(is_plain);
    is_legal.then_some(canonical)
}

/// The domain with U-labels, if it is one that can be in the DNS.
fn canonical_domain(domain: &str) -> Result<String, InvalidEmail> {
    let (unicode, result) =
        Uts46::new().to_unicode(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    result.map_err(|_| InvalidEmail::Domain)?;
    // An A-label may hide a character that UTS 46 permits in a context and that nobody sees.
    // Symbols, which UTS 46 permits too, are no part of a name (RFC 5892 §2).
    let is_plain = |c: char| c.is_ascii() || is_letter(c) || is_mark(c) || is_digit(c);
    if let Some(other) = unicode.chars().find(|&c| is_hidden(c) || !is_plain(c)) {
        return Err(InvalidEmail::Character(other));
    }
    to_ascii(&unicode)?;
    Ok(unicode.into_owned())
}

fn to_ascii(domain: &str) -> Result<String, InvalidEmail> {
    let ascii = Uts46::new().to_ascii(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::CheckFirstLast,
        DnsLength::Verify,
    );
    ascii.map(Into::into).map_err(|_| InvalidEmail::Domain)
}

/// `true` for a character that nobody sees, that moves others, or that has no meaning yet.
fn is_hidden(c: char) -> bool {
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

fn is_of_name(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    }
    is_letter(c) || is_mark(c) || is_digit(c)
}

fn is_digit(c: char) -> bool {
    GeneralCategory::for_char(c) == GeneralCategory::DecimalNumber
}

fn is_letter(c: char) -> bool {
    matches!(
        GeneralCategory::for_char(c),
        GeneralCategory::UppercaseLetter
            | GeneralCategory::LowercaseLetter
            | GeneralCategory::TitlecaseLetter
            | GeneralCategory::ModifierLetter
            | GeneralCategory::OtherLetter
    )
}

fn is_mark(c: char) -> bool {
    matches!(GeneralCategory::for_char(c), GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark)
}

#[cfg(test)]
mod tests;
