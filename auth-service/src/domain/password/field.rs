//! Parses the parts of hash texts: fields between separators, decimal numbers, bytes in hexadecimal or base64.

use base64::{
    Engine,
    alphabet::{Alphabet, BCRYPT, STANDARD},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::InvalidHash;

/// Base64 without padding, as in PHC strings.
pub(super) const BASE64: GeneralPurpose = engine(&STANDARD, DecodePaddingMode::RequireNone, false);

/// Base64 with padding, as Python and Django write it.
pub(super) const PADDED: GeneralPurpose = engine(&STANDARD, DecodePaddingMode::RequireCanonical, false);

/// passlib's base64, with a dot instead of the plus.
pub(super) const DOTTED: GeneralPurpose = engine(&DOTTED_ALPHABET, DecodePaddingMode::RequireNone, false);

/// bcrypt's base64. Some implementations set the unused bits of the last character; all ignore them.
pub(super) const OF_BCRYPT: GeneralPurpose = engine(&BCRYPT, DecodePaddingMode::RequireNone, true);

const DOTTED_ALPHABET: Alphabet =
    match Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./") {
        Ok(alphabet) => alphabet,
        Err(_) => STANDARD,
    };

const fn engine(alphabet: &Alphabet, padding: DecodePaddingMode, spare_bits: bool) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(padding)
        .with_decode_allow_trailing_bits(spare_bits);
    GeneralPurpose::new(alphabet, config)
}

/// Splits `text` at `mark` into exactly `N` fields.
pub(super) fn fields<const N: usize>(text: &str, mark: char) -> Result<[&str; N], InvalidHash> {
    text.split(mark).collect::<Vec<_>>().try_into().map_err(|_| InvalidHash::UnknownForm)
}

/// The text after `name=` in a named field.
pub(super) fn value<'a>(field: &'a str, name: &str) -> Result<&'a str, InvalidHash> {
    field.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).ok_or(InvalidHash::UnknownForm)
}

/// Parses a number of decimal digits only, without a sign.
pub(super) fn number(text: &str) -> Result<u32, InvalidHash> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_err(|_| InvalidHash::UnknownForm)
    } else {
        Err(InvalidHash::UnknownForm)
    }
}

/// Decodes base64.
pub(super) fn base64(text: &str, engine: &GeneralPurpose) -> Result<Vec<u8>, InvalidHash> {
    engine.decode(text).map_err(|_| InvalidHash::UnknownForm)
}

/// Decodes hexadecimal.
pub(super) fn hex(text: &str) -> Result<Vec<u8>, InvalidHash> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_bytes().as_chunks() else { return Err(InvalidHash::UnknownForm) };
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect::<Option<_>>()
        .ok_or(InvalidHash::UnknownForm)
}

/// Returns `bytes` as a salt. An empty salt is refused.
pub(super) fn salt(bytes: Vec<u8>) -> Result<Vec<u8>, InvalidHash> {
    if bytes.is_empty() { Err(InvalidHash::UnknownForm) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_and_nothing_else() {
        assert_eq!(number("1000"), Ok(1_000));
        for text in ["", "+1", "-1", "1 ", "1_000", "0x10", "4294967296", "١"] {
            assert_eq!(number(text), Err(InvalidHash::UnknownForm), "{text}");
        }
    }

    #[test]
    fn hexadecimals_come_in_pairs() {
        assert_eq!(hex("00fFa0"), Ok(vec![0, 255, 160]));
        for text in ["0", "0g", "+1", "é", " 1"] {
            assert_eq!(hex(text), Err(InvalidHash::UnknownForm), "{text}");
        }
    }

    #[test]
    fn each_base64_has_its_own_alphabet_and_padding() {
        assert_eq!(base64("+/8", &BASE64), Ok(vec![251, 255]));
        assert_eq!(base64("+/8=", &PADDED), Ok(vec![251, 255]));
        assert_eq!(base64("./8", &DOTTED), Ok(vec![251, 255]));
        assert_eq!(base64("./8", &OF_BCRYPT), Ok(vec![0, 31]));
        for (text, engine) in [("+/8=", BASE64), ("+/8", PADDED), ("+/8", DOTTED), ("+/8", OF_BCRYPT)] {
            assert_eq!(base64(text, &engine), Err(InvalidHash::UnknownForm), "{text}");
        }
    }
}
