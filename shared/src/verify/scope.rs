//! Scopes: sets of words that limit the use of a token (RFC 6749 §3.3).

use std::{fmt, str::FromStr};

/// A set of scope words, in the order of their first occurrence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<Box<str>>);

/// A word is empty, or contains a character that a scope word cannot have.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scope: printable ASCII without blanks, quotes and backslashes")]
pub struct InvalidScope(String);

crate::sentence::debug_is_sentence!(InvalidScope);

impl Scope {
    /// Whether `word` is a scope word: not empty, printable ASCII without blanks, quotes and backslashes.
    #[must_use]
    pub const fn is_word(word: &str) -> bool {
        let mut rest = word.as_bytes();
        while let [byte, others @ ..] = rest {
            if !is_scope_byte(*byte) {
                return false;
            }
            rest = others;
        }
        !word.is_empty()
    }

    /// Whether the scope contains `word`.
    #[must_use]
    pub fn contains(&self, word: &str) -> bool {
        self.0.iter().any(|held| &**held == word)
    }

    /// Whether the scope has no words.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|word| &**word)
    }

    /// The words for which `keep` returns true.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|word| keep(word)).cloned().collect())
    }

    /// The words of both scopes.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        for word in &other.0 {
            if !self.contains(word) {
                self.0.push(word.clone());
            }
        }
        self
    }

    /// Adds the words that are not in the scope yet.
    ///
    /// # Errors
    /// [`InvalidScope`] at the first invalid word. The words before it are added.
    pub fn extend<'a>(&mut self, words: impl IntoIterator<Item = &'a str>) -> Result<(), InvalidScope> {
        for word in words {
            if !Self::is_word(word) {
                return Err(InvalidScope(word.to_owned()));
            }
            if !self.contains(word) {
                self.0.push(word.into());
            }
        }
        Ok(())
    }
}

/// `%x21 / %x23-5B / %x5D-7E` (RFC 6749 §3.3).
const fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

impl FromStr for Scope {
    type Err = InvalidScope;

    /// Parses words separated by single spaces. The empty text is the empty scope.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut scope = Self::default();
        if !text.is_empty() {
            scope.extend(text.split(' '))?;
        }
        Ok(scope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, word) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            f.write_str(word)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_a_set_in_order() {
        let scope: Scope = "b a b".parse().unwrap();
        assert_eq!(scope.to_string(), "b a");
        assert!(scope.contains("a"));
        assert!(!scope.contains("A"));
        assert!("".parse::<Scope>().unwrap().is_empty() && !scope.is_empty());
    }

    #[test]
    fn what_is_kept_and_what_is_joined_keeps_its_order() {
        let scope: Scope = "c a b".parse().unwrap();
        assert_eq!(scope.filter(|word| word != "a").to_string(), "c b");
        assert_eq!(scope.union(&"d a e".parse().unwrap()).to_string(), "c a b d e");
    }

    #[test]
    fn what_no_scope_may_have_is_refused() {
        for text in [" a", "a ", "a  b", "a\tb", "a\"", "a\\", "é"] {
            assert!(text.parse::<Scope>().is_err(), "{text:?}");
        }
    }
}
