//! The scripts of a word (UTS 39 §5): one script, or one of the mixtures that Chinese, Japanese and Korean are written
//! in. A word is a label of the domain, or a part of the name between dots and plus signs.
//!
//! A word of one script may still look like a word of another ("сосо" in Cyrillic letters). Such a word is refused when
//! each of its letters looks like a Latin one, unless another word of the address has a letter of that script that looks
//! like no Latin one: a Cyrillic name at a Cyrillic domain is right. Only Cyrillic and Greek are looked at. A table of
//! all look-alikes would be larger than the rest of this crate's rules together.

use icu_properties::{
    props::{EnumeratedProperty as _, GeneralCategory, Script},
    script::ScriptWithExtensions,
};

use super::{InvalidEmail, is_letter, is_mark};

/// The mixtures of UTS 39's level "highly restrictive".
const MIXTURES: [&[Script]; 3] = [
    &[Script::Latin, Script::Han, Script::Hiragana, Script::Katakana],
    &[Script::Latin, Script::Han, Script::Bopomofo],
    &[Script::Latin, Script::Han, Script::Hangul],
];

/// The letters of a script that look like Latin ones, in lower case.
const LOOK_ALIKES: [(Script, &str); 2] =
    [(Script::Cyrillic, "асԁеһіјӏорԛѕԝхуъьҽпгѵѡ"), (Script::Greek, "αγηικνορτυχω")];

/// Checks the words of an address.
pub(super) fn check(words: &[&str]) -> Result<(), InvalidEmail> {
    for word in words.iter().filter(|word| !word.is_ascii()) {
        if let Some(mark) = word.chars().next().filter(|&c| is_mark(c)) {
            return Err(InvalidEmail::Character(mark));
        }
        if is_mixed(word) || has_two_kinds_of_digits(word) {
            return Err(InvalidEmail::MixedScripts);
        }
    }
    for (script, look_alikes) in LOOK_ALIKES {
        let of_script = |c: &char| is_letter(*c) && Script::for_char(*c) == script;
        let is_certain = |word: &&str| word.chars().filter(of_script).any(|c| !look_alikes.contains(c));
        let is_doubtful = |word: &&str| word.chars().any(|c| of_script(&c)) && !is_certain(word);
        if words.iter().any(is_doubtful) && !words.iter().any(is_certain) {
            return Err(InvalidEmail::LooksLatin);
        }
    }
    Ok(())
}

fn is_mixed(word: &str) -> bool {
    let scripts = ScriptWithExtensions::new();
    let of_each: Vec<Vec<Script>> = word
        .chars()
        .map(|c| scripts.get_script_extensions_val(c).iter().collect::<Vec<_>>())
        .filter(|of_one| !of_one.contains(&Script::Common) && !of_one.contains(&Script::Inherited))
        .collect();
    let fits = |group: &[Script]| of_each.iter().all(|of_one| of_one.iter().any(|one| group.contains(one)));
    let Some(first) = of_each.first() else { return false };
    !first.iter().any(|&one| fits(&[one])) && !MIXTURES.into_iter().any(fits)
}

/// Digits of two scripts in one word can look alike (U+0664 and U+06F4). The ten digits of a script lie within one block
/// of sixteen characters.
fn has_two_kinds_of_digits(word: &str) -> bool {
    let is_digit = |&c: &char| GeneralCategory::for_char(c) == GeneralCategory::DecimalNumber;
    let mut blocks = word.chars().filter(is_digit).map(|c| u32::from(c) / 16);
    let first = blocks.next();
    blocks.any(|block| Some(block) != first)
}
