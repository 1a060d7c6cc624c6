//! Passwords and their hashes. Ours are argon2id, with its parameters in the PHC string beside each hash. Hashes that
//! other software made can be checked as well, each in its own file here, so that people can be brought along with
//! theirs. Replacing such a hash by one of ours is not done here: a login does it.

mod argon2;
mod bcrypt;
mod field;
mod form;
mod memory;
mod pbkdf2;
mod scrypt;

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

use self::form::Form;

pub use self::memory::HashMemory;

/// A password as somebody typed it, good or not; wiped when dropped.
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

/// A password that an account may have: 8 to 1,024 bytes, never truncated.
#[derive(Clone, Debug)]
pub struct Password(Attempt);

/// A text that can't be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The password must have 8 to 1024 bytes")]
pub struct InvalidPassword;

impl TryFrom<Attempt> for Password {
    type Error = InvalidPassword;

    fn try_from(attempt: Attempt) -> Result<Self, InvalidPassword> {
        if (8..=1_024).contains(&attempt.0.len()) { Ok(Self(attempt)) } else { Err(InvalidPassword) }
    }
}

/// The hash of a password, in the form that whoever made it gave it. To check a password against it takes at most 64
/// MiB and a second or so.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// A text that is no hash which a password can be checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no password hash of a known form, or one too costly to check")]
pub struct InvalidHash;

impl PasswordHash {
    /// The hash as text, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a new hash would be made as this one was. One that was not should be replaced when its password is
    /// known.
    #[must_use]
    pub fn is_ours_and_current(&self) -> bool {
        // The very argon2id that we would make, but in a framework's spelling, is not as we would write it.
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

/// Hashes `password` with `salt`, which is random.
///
/// # Errors
/// [`InvalidHash`] never happens with the parameters of this build; it stands in for the library's own errors.
pub fn hash(
    password: &Password,
    salt: [u8; 16],
    memory: &mut HashMemory,
) -> Result<PasswordHash, InvalidHash> {
    argon2::hash(password.0.0.as_bytes(), salt, memory).map(|phc| PasswordHash(phc.to_string()))
}

/// Whether `attempt` is the password that `hash` was made of. Takes as long as making that hash does, whatever the
/// outcome; so a foreign hash takes another time than ours, and than [`dummy_hash`].
#[must_use]
pub fn is_right(attempt: &Attempt, hash: &PasswordHash, memory: &mut HashMemory) -> bool {
    Form::parse(&hash.0).is_ok_and(|form| form.is_right(attempt.0.as_bytes(), memory))
}

/// The hash that an unknown account is checked against, so that it takes as long as a known one. Nobody knows a
/// password for it: there is none with an all-zero hash.
#[must_use]
pub fn dummy_hash() -> PasswordHash {
    PasswordHash(argon2::dummy())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the foreign hashes in the tests of this room were made of.
    pub(super) const STAPLE: &str = "correct horse battery staple";
    pub(super) const HORSE: &str = "schönes Pferd, 正しい馬 🐎";

    pub(super) fn fits(attempt: &str, hash: &str) -> bool {
        let hash: PasswordHash = hash.parse().unwrap_or_else(|_| panic!("does not parse: {hash}"));
        is_right(&Attempt::from(attempt.to_owned()), &hash, &mut HashMemory::default())
    }

    /// Each of `hashes` is of `password` and of nothing else, and asks to be replaced.
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
            assert_eq!(hash.parse::<PasswordHash>(), Err(InvalidHash), "{hash}");
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
        assert!(is_right(&Attempt::from("correct horse".to_owned()), &hash, &mut memory));
        assert!(!is_right(&Attempt::from("correct horsf".to_owned()), &hash, &mut memory));
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
