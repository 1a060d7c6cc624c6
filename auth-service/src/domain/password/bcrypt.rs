//! bcrypt hashes as Python, PHP and Django write them. aws-lc has no bcrypt, so this module uses another library.

use ::bcrypt::bcrypt;
use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use zeroize::Zeroizing;

use super::{
    InvalidHash,
    field::{OF_BCRYPT, base64, fields, number},
};

/// Maximum cost. It takes 1.1 s of a busy core (AMD EPYC), and less of an idle one. Each further step doubles the
/// time. Libraries use 10 to 12 by default.
const MAX_COST: u32 = 14;

/// Maximum length of bcrypt's input, in bytes, with the zero byte at its end. bcrypt ignores the rest.
const MAX_KEY: usize = 72;

/// The input of bcrypt.
pub(super) enum Prehash {
    /// The password itself.
    None,
    /// The SHA-256 of the password in hexadecimal, so that no password is too long.
    HexSha256,
}

/// A parsed hash.
pub(super) struct BcryptHash {
    cost: u32,
    salt: [u8; 16],
    output: [u8; 23],
    prehash: Prehash,
}

impl BcryptHash {
    /// Parses `$2b$12$` followed by 22 characters of salt and 31 of hash. `2a`, `2b` and `2y` differ only by faults
    /// of other software. The faulty `2x` is not supported.
    pub(super) fn parse(text: &str, prehash: Prehash) -> Result<Self, InvalidHash> {
        let ["", "2a" | "2b" | "2y", cost, data] = fields(text, '$')? else {
            return Err(InvalidHash::UnknownForm);
        };
        let (salt, output) = data.split_at_checked(22).ok_or(InvalidHash::UnknownForm)?;
        Ok(Self {
            cost: self::cost(cost)?,
            salt: base64(salt, &OF_BCRYPT)?.try_into().map_err(|_| InvalidHash::UnknownForm)?,
            output: base64(output, &OF_BCRYPT)?.try_into().map_err(|_| InvalidHash::UnknownForm)?,
            prehash,
        })
    }

    pub(super) fn is_right(&self, attempt: &[u8]) -> bool {
        match self.prehash {
            Prehash::None => self.is_key_right(attempt),
            Prehash::HexSha256 => self.is_key_right(&hex_sha256(attempt)),
        }
    }

    fn is_key_right(&self, key: &[u8]) -> bool {
        let mut terminated = Zeroizing::new([0; MAX_KEY]);
        terminated.iter_mut().zip(key).for_each(|(slot, byte)| *slot = *byte);
        let output = bcrypt(self.cost, self.salt, &terminated[..MAX_KEY.min(key.len() + 1)]);
        // The text form leaves out the last of the 24 bytes. Other software ends a password at a zero byte and
        // ignores the rest, so a password with a zero byte is refused. The refusal takes as long as any other.
        verify_slices_are_equal(&output[..23], &self.output).is_ok() && !key.contains(&0)
    }
}

fn cost(text: &str) -> Result<u32, InvalidHash> {
    let cost = number(text)?;
    match cost {
        4..=MAX_COST if text.len() == 2 => Ok(cost),
        0..4 | 32.. => Err(InvalidHash::UnknownForm),
        _ if text.len() != 2 => Err(InvalidHash::UnknownForm),
        _ => Err(InvalidHash::TooCostly),
    }
}

fn hex_sha256(attempt: &[u8]) -> Zeroizing<Vec<u8>> {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).map_or(b'0', |digit| digit as u8);
    let digest = digest(&SHA256, attempt);
    Zeroizing::new(digest.as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
}

#[cfg(test)]
mod tests {
    use super::super::{
        PasswordHash,
        tests::{HORSE, STAPLE, check, fits, refuse},
    };

    #[test]
    fn hashes_of_bcrypt_passlib_and_django_fit_their_password_alone() {
        check(
            STAPLE,
            &[
                "$2a$04$YELXTuocmY6uFJ1nNHNCkeo3ZUFYQDlhsVlJfjjX4NqCAE5a5NCP.",
                "$2b$04$MAiTasillhDjDLpFaHQFxOQkCBp2hkXjNjRor51ulzBgVVqnb5zx.",
                "$2y$04$ZXr7rcEKqlJXiAmQhJ/6M.7YQx4oQ/Z35pzBzSkuczBRS6S.pQany",
                "bcrypt$$2b$04$pyJ43uzDEBfC8UGcHBNE9.5kdUCB3rMZ/AQCi8s4HpRGRHmd7Wat.",
                "bcrypt_sha256$$2b$04$JO2H2Oi7mH0YEEzVc746CejpE9UcxseCjKDdKaMZ0mj0CFEnOXtYu",
            ],
        );
        check(
            HORSE,
            &[
                "$2a$04$aLuz3iP/OU8XaxstPuTFOeL7p48on0t5TzQzP50/9lkCEzuFlSRmC",
                "$2b$04$/sNiIXaCEdHhw8zoSMvr4elzPMKXqCtKNU0U0/E2s4xhe3am9NYXm",
                "$2y$04$k5QQWfszgjEVqeKUxnhYLumUGZAnQZjeoqphg57JvEyxVrSF34VkC",
                "bcrypt$$2b$04$/.xpIusPfDaljJhVvBD6T.jYuTMl7QFjdu2pwN7uHkdR8ZbkSKrFK",
                "bcrypt_sha256$$2b$04$EfFEjrkUivkIs172qnnurOCnHzxOlieL73qHPYvvfjxR04E16eK3.",
            ],
        );
    }

    #[test]
    fn a_password_counts_up_to_its_72nd_byte() {
        let hash = "$2b$04$akjdjzOVuElRAJg/byyEvOeQ56Gyhr9TTlUFt.o09WeGKtzfL5lsK";
        let password = format!("{STAPLE} ").repeat(3);
        assert!(fits(&password, hash));
        assert!(fits(&password[..72], hash));
        assert!(fits(&format!("{} and anything", &password[..72]), hash));
        assert!(!fits(&password[..71], hash));
    }

    #[test]
    fn a_letter_may_lie_across_the_72nd_byte() {
        let hash = "$2b$04$I6W7z/VzXYH.tj1w0qkWoeHl4vukUhbeRJezQdv6ZpcPt2PheuNY2";
        assert!(fits(&format!("{}馬x", "ab".repeat(35)), hash));
        assert!(!fits(&"ab".repeat(35), hash));
    }

    #[test]
    fn a_password_hashed_before_counts_to_its_end() {
        let hash = "bcrypt_sha256$$2b$04$eysihUbt7N9ylw7sxEKlB.9/WU6QZQ5icJ32OrbC2Mzd.Ds.aXgja";
        let password = format!("{STAPLE} ").repeat(3);
        assert!(fits(&password, hash));
        assert!(!fits(&password[..72], hash));
    }

    #[test]
    fn a_password_with_a_zero_byte_is_wrong() {
        let hash = "$2b$04$MAiTasillhDjDLpFaHQFxOQkCBp2hkXjNjRor51ulzBgVVqnb5zx.";
        assert!(fits(STAPLE, hash));
        assert!(!fits(&format!("{STAPLE}\0"), hash));
        assert!(!fits(&format!("{STAPLE}\0{STAPLE}"), hash));
    }

    #[test]
    fn the_empty_password_has_a_hash_too() {
        let hash = "$2b$04$Ny1wpEzLwp.HSzi0vHNf/ut4qAXMDJS.SWdQPLSA1nx8hf8.s7Cx2";
        assert!(fits("", hash));
        assert!(!fits("\0", hash));
        assert!(!fits(STAPLE, hash));
    }

    #[test]
    fn a_cost_above_14_is_refused() {
        let with_cost = |cost| format!("$2b${cost}$MAiTasillhDjDLpFaHQFxOQkCBp2hkXjNjRor51ulzBgVVqnb5zx.");
        assert!(with_cost("14").parse::<PasswordHash>().is_ok());
        refuse(
            &["15", "31", "32", "99", "03", "00", "4", "004", "+4", "", "é"]
                .map(with_cost)
                .each_ref()
                .map(String::as_str),
        );
    }

    #[test]
    fn a_malformed_hash_is_refused() {
        refuse(&[
            "$2b$04$MAiTasillhDjDLpFaHQFxOQkCBp2hkXjNjRor51ulzBgVVqnb5zx",
            "$2b$04$MAiTasillhDjDLpFaHQFxOQkCBp2hkXjNjRor51ulzBgVVqnb5zx..",
            "$2b$04$MAiTasillhDjDLpFaHQFxOQkCBp2hkXjNjRor51ulzBgVVqnb5zx!",
            "$2b$04$MAi$asillhDjDLpFaHQFxOQkCBp2hkXjNjRor51ulzBgVVqnb5zx.",
            "$2b$04$",
            "$2b$04",
            "$2b$04$QkCBp2hkXjNjRor51ulzBgVVqnb5zx.",
            "$2$04$MAiTasillhDjDLpFaHQFxOQkCBp2hkXjNjRor51ulzBgVVqnb5zx.",
            "$2x$04$MAiTasillhDjDLpFaHQFxOQkCBp2hkXjNjRor51ulzBgVVqnb5zx.",
            "$2b$04$馬TasillhDjDLpFaHQFxOQkCBp2hkXjNjRor51ulzBgVVqnb5zx.",
            "$2b$04$MAiTasillhDjDLpFaHQFxékCBp2hkXjNjRor51ulzBgVVqnb5zx.",
            "bcrypt_sha256$$2b$04$",
            "bcrypt_sha256$$$2b$04$MAiTasillhDjDLpFaHQFxOQkCBp2hkXjNjRor51ulzBgVVqnb5zx.",
            "bcrypt_sha512$$2b$04$MAiTasillhDjDLpFaHQFxOQkCBp2hkXjNjRor51ulzBgVVqnb5zx.",
        ]);
    }
}
