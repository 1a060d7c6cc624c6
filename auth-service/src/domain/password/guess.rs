//! Passwords that somebody would guess: among the first tries of every thief, or made of what is known about the account. They
//! are refused where people choose one. It is a bar, not a measure: limits and the slow hash do the rest.

use std::{collections::HashSet, fmt};

use zeroize::Zeroizing;

use super::prepare::prepare;

/// Words that most guessable passwords are made of, in lower case.
const WORDS: &str = include_str!("common_words.txt");

/// Rows and columns of keyboards, and other well-known orders.
const ORDERS: [&str; 10] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiopü",
    "azertyuiop",
    "1qaz2wsx3edc4rfv5tgb6yhn",
    "1q2w3e4r5t6y7u8i9o0p",
    "!@#$%^&*()",
];

/// So many letters of a password may be something else than what it was found to be made of.
const LEFT_OVER: usize = 3;

/// Why a password would be guessed. `Display` is a sentence for the person who chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// It is among the most common ones, or a common word with a few letters more.
    #[error("The password is one that many people use; choose several words that don't belong together")]
    Common,
    /// It repeats a few letters.
    #[error("The password repeats a few letters; choose several words that don't belong together")]
    Repeated,
    /// It follows the alphabet, the numbers or a keyboard.
    #[error("The password follows a row of letters or keys; choose several words that don't belong together")]
    Sequence,
    /// It is a short number, like a date.
    #[error("The password is a number, like a date; choose several words that don't belong together")]
    Number,
    /// It is made of the account's address.
    #[error("The password is made of the email address; choose several words that don't belong together")]
    Address,
    /// The operator has put it on a list.
    #[error("The password is on a list of refused ones; choose another")]
    Listed,
}

/// Passwords that the operator refuses, besides those that anybody would guess.
#[derive(Clone, Default)]
pub struct Blocklist(HashSet<Box<str>>);

impl Blocklist {
    /// A list from its text: one password a line, in any case. Lines that are empty are skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let prepared = |line: &str| prepare(line).unwrap_or_else(|_| Zeroizing::new(line.to_owned()));
        Self(lines.map(|line| canonical(&prepared(line)).as_str().into()).collect())
    }

    /// How many it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Blocklist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blocklist({})", self.len())
    }
}

/// Why somebody would guess the password of the account with that address. `None` when nobody would soon.
pub(super) fn weakness(password: &str, address: &str, listed: &Blocklist) -> Option<Weakness> {
    let password = canonical(password);
    if listed.0.contains(password.as_str()) {
        return Some(Weakness::Listed);
    }
    let plain = Zeroizing::new(password.chars().map(unmasked).collect::<String>());
    let forms = [password.as_str(), plain.as_str()];
    let any = |check: &dyn Fn(&str) -> bool| forms.iter().any(|form| check(form));
    // A number first: its digits stand for letters, too.
    let is_number = |byte: u8| byte.is_ascii_digit() || b"-./ ".contains(&byte);
    if password.len() <= 10
        && password.contains(|c: char| c.is_ascii_digit())
        && password.bytes().all(is_number)
    {
        return Some(Weakness::Number);
    }
    if any(&is_repeated) {
        return Some(Weakness::Repeated);
    }
    if is_sequence(&password) {
        return Some(Weakness::Sequence);
    }
    if any(&|form| is_made_of(form, address_words(address).iter().map(String::as_str))) {
        return Some(Weakness::Address);
    }
    any(&|form| is_made_of(form, WORDS.split_ascii_whitespace())).then_some(Weakness::Common)
}

/// In lower case, without blanks around it.
fn canonical(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.trim().to_lowercase())
}

/// The letter that a digit or sign stands for.
fn unmasked(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' | '€' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        '9' => 'g',
        other => other,
    }
}

/// The parts of an address that a thief would try: the name, its parts, and the domain without its ending.
fn address_words(address: &str) -> Vec<String> {
    let address = address.to_lowercase();
    let (name, domain) = address.split_once('@').unwrap_or((&address, ""));
    let labels = domain.rsplit_once('.').map_or("", |(labels, _)| labels);
    let parts =
        name.split(['.', '+', '_', '-']).chain(labels.split('.')).chain([name, domain, address.as_str()]);
    parts.filter(|part| part.chars().count() >= 4).map(str::to_owned).collect()
}

/// Whether it is a few letters again and again.
fn is_repeated(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    let distinct = letters.iter().collect::<HashSet<_>>().len();
    let repeats = |period: usize| letters.iter().zip(&letters[period..]).all(|(one, other)| one == other);
    distinct <= 2 || (1..=8).any(|period| period * 2 <= letters.len() + 1 && repeats(period))
}

/// Whether it is made of long pieces of well-known orders, forwards or backwards.
fn is_sequence(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    let orders: Vec<Vec<char>> = ORDERS
        .iter()
        .flat_map(|order| [order.chars().collect::<Vec<_>>(), order.chars().rev().collect()])
        .collect();
    let (mut place, mut left_over) = (0, 0);
    while place < letters.len() {
        let longest = orders.iter().map(|order| common_run(&letters[place..], order)).max().unwrap_or(0);
        if longest >= 4 {
            place += longest;
        } else {
            place += 1;
            left_over += 1;
        }
    }
    left_over <= LEFT_OVER && left_over * 2 < letters.len()
}

/// How many letters of `text` stand in `order` one after the other.
fn common_run(text: &[char], order: &[char]) -> usize {
    let runs = (0..order.len())
        .map(|at| text.iter().zip(&order[at..]).take_while(|(one, other)| one == other).count());
    runs.max().unwrap_or(0)
}

/// Whether it is one or two of the words, besides a few letters, digits or signs.
fn is_made_of<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> bool {
    let found = words.filter(|word| text.contains(word)).max_by_key(|word| word.len());
    let Some(word) = found.filter(|word| word.chars().count() >= 4) else { return false };
    let rest = text.replacen(word, "", 1);
    let letters = rest.chars().filter(|c| c.is_alphabetic()).count();
    // Digits and signs behind a word are the first thing that is tried.
    letters <= LEFT_OVER || rest.trim() == word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(password: &str) -> Option<Weakness> {
        weakness(
            password,
            "margaret.hamilton+x@apollo-guidance.example.com",
            &Blocklist::parse("Winter is Coming\n\n x-ray tango \n"),
        )
    }

    const GUESSED: &[(&[&str], Weakness)] = &[
        (
            &[
                "password",
                "Password",
                "PASSWORD1",
                "passw0rd",
                "P@ssw0rd!",
                "password123",
                "123password",
                "letmein1",
                "welcome2024",
                "Welcome2024!",
                "iloveyou",
                "1loveyou",
                "sunshine",
                "football7",
                "trustno1",
                "princess",
                "superman",
                "batman123",
                "changeme",
                "secret12",
                "monkey99",
                "dragon!!",
                "administrator",
                "password password",
                "Qwerty123",
            ],
            Weakness::Common,
        ),
        (
            &[
                "aaaaaaaa",
                "abababab",
                "abcabcabc",
                "xyxyxyxyxy",
                "ÄÄÄÄÄÄÄÄ",
                "........",
                "hahahaha",
                "tictac tictac",
            ],
            Weakness::Repeated,
        ),
        (
            &[
                "abcdefgh",
                "hgfedcba",
                "qwertyui",
                "asdfghjkl",
                "1qaz2wsx",
                "1q2w3e4r",
                "zxcvbnm,",
                "qwertzui",
                "abcd1234",
                "asdf1234",
                "0987654321q",
            ],
            Weakness::Sequence,
        ),
        (&["12345678", "87654321", "19691231", "31.12.1969", "1969-12-31", "00000001"], Weakness::Number),
        (
            &["margaret", "Margaret1", "hamilton!", "m4rg4ret", "apollo-guidance", "hamilton1969"],
            Weakness::Address,
        ),
        (&["winter is coming", "X-RAY TANGO"], Weakness::Listed),
    ];

    #[test]
    fn what_everybody_tries_is_refused_with_its_reason() {
        for (passwords, weakness) in GUESSED {
            for password in *passwords {
                let found = of(password);
                assert!(found.is_some(), "{password:?} is accepted");
                if !matches!(weakness, Weakness::Common) {
                    assert_eq!(found, Some(*weakness), "{password:?}");
                }
            }
        }
    }

    #[test]
    fn what_nobody_tries_soon_is_accepted() {
        for password in [
            "correct horse battery",
            "a plain pass phrase",
            "a new pass phrase",
            "another pass phrase",
            "Tr0ub4dor&3",
            "hunter2-hunter3-x",
            "kX9#mQ2$vL",
            "schönes Pferd, 正しい馬",
            "thirty-two bananas",
            "my dog ate the password file",
            "4f9a1c77e0b2",
            "ostrich velcro 1969",
            "margaret likes ostriches",
            "whatever it may be",
        ] {
            assert_eq!(of(password), None, "{password:?}");
        }
    }

    #[test]
    fn the_words_are_a_list_in_lower_case_without_repeats() {
        let words: Vec<_> = WORDS.split_ascii_whitespace().collect();
        assert!(words.len() > 250, "{}", words.len());
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len());
        assert!(words.iter().all(|word| word.len() >= 4 && *word == word.to_lowercase()));
    }
}
