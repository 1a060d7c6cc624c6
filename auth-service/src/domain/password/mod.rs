//! Passwords and their hashes.
//!
//! New hashes are argon2id, with their parameters in a PHC string. Hashes from other software can be checked, too, so
//! that accounts can be imported with them; each kind has a file here. This module does not replace such a hash by a
//! new one: a login does.

mod argon2;
mod bcrypt;
mod error;
mod field;
mod form;
mod guess;
mod memory;
mod pbkdf2;
mod prepare;
mod scrypt;

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

use self::form::Form;

use self::prepare::prepare;
pub use self::{
    error::InvalidHash,
    guess::{Blocklist, Weakness},
    memory::HashMemory,
};

/// A password as a user typed it, not checked yet. The memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Attempt(Zeroizing<String>);

impl From<String> for Attempt {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attempt(…)")
    }
}

/// The most bytes of a text that is prepared. Preparing makes a text at most three times as long, or shorter.
const LONGEST: usize = 4 * 1_024;

/// A password that an account may have: 8 to 1,024 bytes in its prepared form (RFC 8265). It is never truncated.
#[derive(Clone, Debug)]
pub struct Password(Attempt);

/// The text is no password that an account may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// It is too short or too long.
    #[error("The password must have 8 to 1024 bytes")]
    Length,
    /// It has a character that nobody sees, or that not every keyboard types alike.
    #[error(
        "The password has a character that can't be seen or typed everywhere; leave out control and invisible characters"
    )]
    Characters,
}

/// How an attempt fits to a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It is another password.
    No,
    /// It is the password, in its prepared form.
    Prepared,
    /// It is the password as it was typed. The hash is from before passwords were prepared, or from other software.
    Raw,
}

impl TryFrom<Attempt> for Password {
    type Error = InvalidPassword;

    fn try_from(attempt: Attempt) -> Result<Self, InvalidPassword> {
        if attempt.0.len() > LONGEST {
            return Err(InvalidPassword::Length);
        }
        let prepared = prepare(&attempt.0).map_err(|_| InvalidPassword::Characters)?;
        if (8..=1_024).contains(&prepared.len()) {
            Ok(Self(Attempt(prepared)))
        } else {
            Err(InvalidPassword::Length)
        }
    }
}

impl Password {
    /// Whether `attempt` is this password, in any spelling.
    #[must_use]
    pub fn is(&self, attempt: &Attempt) -> bool {
        self.0.0 == attempt.0 || prepare(&attempt.0).is_ok_and(|prepared| prepared == self.0.0)
    }

    /// Why somebody would guess it as the password of the account with that address. `None` when nobody would soon.
    #[must_use]
    pub fn weakness(&self, address: &str, listed: &Blocklist) -> Option<Weakness> {
        guess::weakness(&self.0.0, address, listed)
    }
}

/// The hash of a password, in the text form of the software that made it. Checking a password against it takes at
/// most 64 MiB and about one second.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The hash in its original text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `true` when the hash is in our form with the current parameters. If not, a login should replace it.
    #[must_use]
    pub fn is_ours_and_current(&self) -> bool {
        // The same argon2id hash in a framework's spelling is not in our form.
        let is_phc = self.0.starts_with('$');
        matches!(Form::parse(&self.0), Ok(Form::Argon2(hash)) if is_phc && hash.is_current())
    }
}

impl FromStr for PasswordHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        Form::parse(text).map(|_| Self(text.to_owned()))
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Hashes `password` with the random `salt`.
///
/// # Errors
/// [`InvalidHash`] when the library fails, which does not happen with the parameters of this build.
pub fn hash(
    password: &Password,
    salt: [u8; 16],
    memory: &mut HashMemory,
) -> Result<PasswordHash, InvalidHash> {
    argon2::hash(password.0.0.as_bytes(), salt, memory).map(|phc| PasswordHash(phc.to_string()))
}

/// Whether `attempt` is the password of `hash`: in its prepared form, or else as it was typed.
///
/// The time is that of making the hash, or of making it twice when the text has another prepared form. It depends on the text,
/// and not on whether an account has the hash. A hash from other software takes another time than ours and than [`dummy_hash`].
#[must_use]
pub fn is_right(attempt: &Attempt, hash: &PasswordHash, memory: &mut HashMemory) -> Match {
    let Ok(form) = Form::parse(&hash.0) else { return Match::No };
    let prepared = Some(&attempt.0).filter(|text| text.len() <= LONGEST).and_then(|text| prepare(text).ok());
    if let Some(prepared) = &prepared
        && form.is_right(prepared.as_bytes(), memory)
    {
        return Match::Prepared;
    }
    let is_other = prepared.is_none_or(|prepared| prepared != attempt.0);
    if is_other && form.is_right(attempt.0.as_bytes(), memory) { Match::Raw } else { Match::No }
}

/// The hash that a login checks for an unknown account, so that it takes as long as for a known one. No known
/// password matches its all-zero output.
#[must_use]
pub fn dummy_hash() -> PasswordHash {
    PasswordHash(argon2::dummy())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The password of the other software's hashes in the tests of this module.
    pub(super) const STAPLE: &str = "correct horse battery staple";
    pub(super) const HORSE: &str = "schönes Pferd, 正しい馬 🐎";

    pub(super) fn fits(attempt: &str, hash: &str) -> bool {
        let hash: PasswordHash = hash.parse().unwrap_or_else(|_| panic!("does not parse: {hash}"));
        is_right(&Attempt::from(attempt.to_owned()), &hash, &mut HashMemory::default()) != Match::No
    }

    /// Checks that each of `hashes` matches `password` and nothing else, and is not current.
    pub(super) fn check(password: &str, hashes: &[&str]) {
        for hash in hashes {
            assert!(fits(password, hash), "refused: {hash}");
            for wrong in [&format!("{password}!"), &password[..password.len() - 4], ""] {
                assert!(!fits(wrong, hash), "accepted {wrong:?}: {hash}");
            }
            assert!(!hash.parse::<PasswordHash>().unwrap().is_ours_and_current(), "{hash}");
        }
    }

    pub(super) fn refuse(hashes: &[&str]) {
        for hash in hashes {
            assert!(hash.parse::<PasswordHash>().is_err(), "{hash}");
        }
    }

    fn password(text: &str) -> Result<Password, InvalidPassword> {
        Attempt::from(text.to_owned()).try_into()
    }

    #[test]
    fn a_password_is_checked_against_its_hash() {
        let mut memory = HashMemory::default();
        let hash = hash(&password("correct horse").unwrap(), [7; 16], &mut memory).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        let mut fits = |typed: &str| is_right(&Attempt::from(typed.to_owned()), &hash, &mut memory);
        assert_eq!(fits("correct horse"), Match::Prepared);
        assert_eq!(fits("correct\u{a0}horse"), Match::Prepared, "another blank");
        assert_eq!(fits("correct horsf"), Match::No);
        assert_eq!(hash.as_str().parse::<PasswordHash>().unwrap(), hash);
    }

    #[test]
    fn only_a_hash_with_the_parameters_of_today_is_ours_and_current() {
        let ours = hash(&password("correct horse").unwrap(), [7; 16], &mut HashMemory::default()).unwrap();
        assert!(ours.is_ours_and_current());
        assert!(dummy_hash().is_ours_and_current());
        for (now, then) in [
            ("argon2id", "argon2i"),
            ("v=19", "v=16"),
            ("m=19456", "m=19457"),
            ("t=2", "t=3"),
            ("p=1", "p=2"),
            ("$argon2id", "argon2$argon2id"),
            ("BwcHBwcHBwcHBwcHBwcHBw", "BwcHBwcHBwcHBwc"),
        ] {
            assert!(ours.as_str().contains(now), "{now}");
            let other: PasswordHash = ours.as_str().replacen(now, then, 1).parse().unwrap();
            assert!(!other.is_ours_and_current(), "{then}");
        }
    }

    #[test]
    fn a_password_has_8_to_1024_bytes() {
        assert!(password("1234567").is_err());
        assert!(password("12345678").is_ok());
        assert!(password(&"x".repeat(1_024)).is_ok());
        assert!(password(&"x".repeat(1_025)).is_err());
    }

    #[test]
    fn a_text_in_no_known_form_is_no_hash() {
        refuse(&[
            "",
            "$",
            "$$",
            "$$$$$$",
            "secret",
            "!unusable",
            "plain$salt$secret",
            "md5$salt$5ebe2294ecd0e0f08eab7690d2a6ee69",
            "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
            "$5$rounds=5000$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8",
            "$2x$04$lO2cOunKYs9puJRM5EitheHYdb4ezu18lROG8wYaVfHTSZdVRAP/.",
            "$pbkdf2-md5$1000$rhXCuDeGsPZ.j7F2TkmJMQ$rwkigv41H1VSgDM.uyQigQ",
            "scrypt",
            "scrypt:",
            "pbkdf2:",
            "$é$ü$",
        ]);
    }

    #[test]
    fn a_hash_cut_short_or_changed_anywhere_never_panics() {
        let (attempt, mut memory) = (Attempt::from(STAPLE.to_owned()), HashMemory::default());
        for hash in form::tests::ONE_OF_EACH {
            for (at, _) in hash.char_indices() {
                for text in [
                    hash[..at].to_owned(),
                    hash[at..].to_owned(),
                    format!("{}\u{e9}{}", &hash[..at], &hash[at + 1..]),
                    format!("{}${}", &hash[..at], &hash[at + 1..]),
                    format!("{}99999999999{}", &hash[..at], &hash[at..]),
                ] {
                    if let Ok(changed) = text.parse() {
                        let _ = is_right(&attempt, &changed, &mut memory);
                    }
                }
            }
        }
    }
}
