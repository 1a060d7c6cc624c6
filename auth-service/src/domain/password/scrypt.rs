//! scrypt hashes as Werkzeug and Django write them, and in PHC form as passlib does. aws-lc-rs has no scrypt, so this
//! module uses another library.

use ::scrypt::{Params, scrypt};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use super::{
    InvalidHash,
    field::{BASE64, PADDED, base64, fields, hex, number, salt, value},
};

/// Maximum memory of a hash, in bytes (128 · N · r): 64 MiB. A hash that needs more is refused.
const MAX_MEMORY: u64 = 64 * 1_024 * 1_024;

/// Maximum of 128 · N · r · p, in bytes: five times 64 MiB. That takes 0.8 s of a busy core (AMD EPYC), and less of
/// an idle one. Werkzeug's default needs half of 64 MiB, passlib's once, Django's one and a quarter times.
const MAX_WORK: u64 = 5 * MAX_MEMORY;

/// Maximum of r · p. It keeps the lanes (128 · r · p bytes, held beside the main memory) below 128 KiB. OWASP
/// recommends at most 80.
const MAX_LANES: u64 = 1_024;

/// Output length of Werkzeug and Django, in bytes.
const WHOLE: usize = 64;

/// A parsed hash.
pub(super) struct ScryptHash {
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl ScryptHash {
    /// Parses the PHC form `ln=log₂N,r=r,p=p$salt$hash`. The hash must have at least 16 bytes: with fewer, a wrong
    /// password might match by chance.
    pub(super) fn of_phc(text: &str) -> Result<Self, InvalidHash> {
        let [costs, salt_text, output] = fields(text, '$')?;
        let [ln, r, p] = fields(costs, ',')?;
        let ln = u8::try_from(number(value(ln, "ln")?)?).map_err(|_| InvalidHash::UnknownForm)?;
        let output = base64(output, &BASE64)?;
        if !(16..=WHOLE).contains(&output.len()) {
            return Err(InvalidHash::UnknownForm);
        }
        Ok(Self {
            params: params(ln, number(value(r, "r")?)?, number(value(p, "p")?)?)?,
            salt: salt(base64(salt_text, &BASE64)?)?,
            output,
        })
    }

    /// Parses Werkzeug's form, `N:r:p` and `salt$hash`. The salt is plain text, the hash is hexadecimal.
    pub(super) fn of_werkzeug(costs: &str, text: &str) -> Result<Self, InvalidHash> {
        let [n, r, p] = fields(costs, ':')?;
        let [salt, output] = fields(text, '$')?;
        Self::whole([n, r, p], salt, hex(output)?)
    }

    /// Parses Django's form `N$salt$r$p$hash`. The salt is plain text, the hash is base64 with padding.
    pub(super) fn of_django(text: &str) -> Result<Self, InvalidHash> {
        let [n, salt, r, p, output] = fields(text, '$')?;
        Self::whole([n, r, p], salt, base64(output, &PADDED)?)
    }

    fn whole([n, r, p]: [&str; 3], salt_text: &str, output: Vec<u8>) -> Result<Self, InvalidHash> {
        let params = params(logarithm(number(n)?)?, number(r)?, number(p)?)?;
        if output.len() != WHOLE {
            return Err(InvalidHash::UnknownForm);
        }
        Ok(Self { params, salt: salt(salt_text.into())?, output })
    }

    pub(super) fn is_right(&self, attempt: &[u8]) -> bool {
        let mut output = Zeroizing::new(vec![0; self.output.len()]);
        scrypt(attempt, &self.salt, &self.params, &mut output).is_ok()
            && verify_slices_are_equal(&output, &self.output).is_ok()
    }
}

/// The base-2 logarithm of N. N must be a power of two.
fn logarithm(n: u32) -> Result<u8, InvalidHash> {
    if !n.is_power_of_two() {
        return Err(InvalidHash::UnknownForm);
    }
    u8::try_from(n.trailing_zeros()).map_err(|_| InvalidHash::UnknownForm)
}

fn params(log_n: u8, r: u32, p: u32) -> Result<Params, InvalidHash> {
    let n = 1_u64.checked_shl(log_n.into()).ok_or(InvalidHash::UnknownForm)?;
    let memory = n.saturating_mul(128 * u64::from(r));
    let work = memory.saturating_mul(p.into());
    let lanes = u64::from(r) * u64::from(p);
    if n < 2 {
        return Err(InvalidHash::UnknownForm);
    }
    if memory > MAX_MEMORY || work > MAX_WORK || lanes > MAX_LANES {
        return Err(InvalidHash::TooCostly);
    }
    Params::new(log_n, r, p).map_err(|_| InvalidHash::UnknownForm)
}

#[cfg(test)]
mod tests {
    use super::super::{
        PasswordHash,
        tests::{HORSE, STAPLE, check, fits, refuse},
    };

    #[test]
    fn hashes_in_phc_form_fit_their_password_alone() {
        check(
            STAPLE,
            &[
                "$scrypt$ln=4,r=8,p=1$QqgVwthb691byzlnbM2Z0w$Fa1ry55epKcyxRFScRDQiueKRhtBEY0TZBInEfMznfI",
                "$scrypt$ln=4,r=8,p=2$MDEyMzQ1Njc4OWFiY2RlZg$C1V6BbGFV8LY5508xXsgJfJAj+hUNa7f9h7gphnABHE",
            ],
        );
        check(
            HORSE,
            &[
                "$scrypt$ln=4,r=8,p=1$S+ndu9ea8/4fI6T0vpdSag$qIpqvWcBplzpE2+91r2ck53px5CYLVQM6hkDXpcJOV8",
                "$scrypt$ln=4,r=8,p=2$MDEyMzQ1Njc4OWFiY2RlZg$sjd5BqdGuPr+PWsq4jjQg5IgaBetmLj2g9DxnsmXLZ0",
            ],
        );
    }

    #[test]
    fn hashes_of_werkzeug_and_django_fit_their_password_alone() {
        check(
            STAPLE,
            &[
                "scrypt:1024:8:1$YBkhuE9Ae1vpPFOf$3cca14d52339c50d9138da0e25164171f507b1020fc0386faba5fa5cdd6548bd1a38cd2c6af315849986ffb568d28ecf9ec5c0763b8696d89b2aa97785e15c0d",
                "scrypt$16$seasalt0123456789abcde$8$2$ot+C4ar9hEuIScPorKSj84+2nOKrJzJBwxH6v7lZ5/4Xzyqne2jR9QDgrwAmkQtN4DIBdaZguO/gQKbp/gwctA==",
            ],
        );
        check(
            HORSE,
            &[
                "scrypt:1024:8:1$GEIQvzsCbmXxSpXP$e258978dff4aaf1e95fccf3d852bb2c2e5ad3dc8a70ff4d0fea1378ab821d0eaca51244d83c9a5c6da7b534a84696c7e728838daeb7b44746253ae60cecdccdd",
                "scrypt$16$seasalt0123456789abcde$8$2$FMINFv0aZVajeo8jW/QquB2f/ZWsiWdFdF2w3kpguPZvs45fh9sDnDXSBpwHUV7/zJx+pAcYAO6mBrT/Mc3apg==",
            ],
        );
    }

    #[test]
    fn the_defaults_of_werkzeug_and_django_are_within_the_limits() {
        for hash in [
            "scrypt:32768:8:1$a1wrsPe89baiC1qQ$02438252eb9a2168afd628feef0653ab5b1ef71041817b8a4deae3a0e3cb6c6edb864d8f4609d6f7f249d2d89991f2d369f714c569c4e26518756d44bee2fe4c",
            "scrypt$16384$seasalt0123456789abcde$8$5$MoRUjYlLm8CW+YZLjOzSG2aTLdB3ixqHJZyIrqOpCDznwsnZHuH6gfdQOiZhQD/p3dwF2ZmF018SGLtZAFNizw==",
        ] {
            assert!(fits(STAPLE, hash), "{hash}");
        }
    }

    #[test]
    fn costs_of_more_than_64_mib_or_a_second_are_refused() {
        let with = |[ln, r, p]: [u64; 3]| {
            format!(
                "$scrypt$ln={ln},r={r},p={p}$MDEyMzQ1Njc4OWFiY2RlZg$C1V6BbGFV8LY5508xXsgJfJAj+hUNa7f9h7gphnABHE"
            )
        };
        for costs in [[16, 8, 5], [14, 8, 20], [1, 1, 1_024], [1, 1_024, 1], [19, 1, 5]] {
            assert!(with(costs).parse::<PasswordHash>().is_ok(), "{costs:?}");
        }
        for costs in [
            [17, 8, 1],
            [16, 9, 1],
            [16, 8, 6],
            [20, 1, 1],
            [1, 1, 1_025],
            [1, 1_025, 1],
            [1, 65_536, 65_536],
            [1, 4_294_967_295, 4_294_967_295],
            [63, 4_294_967_295, 4_294_967_295],
            [64, 8, 1],
            [255, 8, 1],
            [256, 8, 1],
            [0, 8, 1],
            [4, 0, 1],
            [4, 8, 0],
        ] {
            refuse(&[&with(costs)]);
        }
    }

    #[test]
    fn n_must_be_a_power_of_two() {
        for n in ["0", "1", "3", "1000", "32769", "131072", "4294967295", "4294967296", "-2", "+16", ""] {
            refuse(&[
                &format!(
                    "scrypt:{n}:8:1$YBkhuE9Ae1vpPFOf$3cca14d52339c50d9138da0e25164171f507b1020fc0386faba5fa5cdd6548bd1a38cd2c6af315849986ffb568d28ecf9ec5c0763b8696d89b2aa97785e15c0d"
                ),
                &format!(
                    "scrypt${n}$salt$8$2$ot+C4ar9hEuIScPorKSj84+2nOKrJzJBwxH6v7lZ5/4Xzyqne2jR9QDgrwAmkQtN4DIBdaZguO/gQKbp/gwctA=="
                ),
            ]);
        }
    }

    #[test]
    fn a_malformed_hash_is_refused() {
        refuse(&[
            "$scrypt$ln=4,r=8,p=2$MDEyMzQ1Njc4OWFiY2RlZg",
            "$scrypt$ln=4,r=8,p=2$MDEyMzQ1Njc4OWFiY2RlZg$",
            "$scrypt$ln=4,r=8,p=2$$C1V6BbGFV8LY5508xXsgJfJAj+hUNa7f9h7gphnABHE",
            "$scrypt$ln=4,r=8,p=2$MDEyMzQ1Njc4OWFiY2RlZg$C1V6BbGFV8L",
            "$scrypt$ln=4,r=8,p=2$MDEyMzQ1Njc4OWFiY2RlZg$*1V6BbGFV8LY5508xXsgJfJAj+hUNa7f9h7gphnABHE",
            "$scrypt$ln=4,r=8,p=2$MDEyMzQ1Njc4OWFiY2RlZg$C1V6BbGFV8LY5508xXsgJfJAj+hUNa7f9h7gphnABHE=",
            "$scrypt$ln=4,r=8$MDEyMzQ1Njc4OWFiY2RlZg$C1V6BbGFV8LY5508xXsgJfJAj+hUNa7f9h7gphnABHE",
            "$scrypt$r=8,ln=4,p=2$MDEyMzQ1Njc4OWFiY2RlZg$C1V6BbGFV8LY5508xXsgJfJAj+hUNa7f9h7gphnABHE",
            "$scrypt$ln=4,r=8,p=2,x=1$MDEyMzQ1Njc4OWFiY2RlZg$C1V6BbGFV8LY5508xXsgJfJAj+hUNa7f9h7gphnABHE",
            "$scrypt$ln=,r=8,p=2$MDEyMzQ1Njc4OWFiY2RlZg$C1V6BbGFV8LY5508xXsgJfJAj+hUNa7f9h7gphnABHE",
            "$scrypt$ln4,r=8,p=2$MDEyMzQ1Njc4OWFiY2RlZg$C1V6BbGFV8LY5508xXsgJfJAj+hUNa7f9h7gphnABHE",
            "scrypt:1024:8:1$YBkhuE9Ae1vpPFOf",
            "scrypt:1024:8:1$$3cca14d52339c50d9138da0e25164171f507b1020fc0386faba5fa5cdd6548bd1a38cd2c6af315849986ffb568d28ecf9ec5c0763b8696d89b2aa97785e15c0d",
            "scrypt:1024:8:1$YBkhuE9Ae1vpPFOf$3cca14d52339c50d9138da0e25164171f507b1020fc0386faba5fa5cdd6548bd1a38cd2c6af315849986ffb568d28ecf9ec5c0763b8696d89b2aa97785e15c0",
            "scrypt:1024:8:1$YBkhuE9Ae1vpPFOf$3cca14d52339c50d9138da0e25164171f507b1020fc0386faba5fa5cdd6548bd1a38cd2c6af315849986ffb568d28ecf9ec5c0763b8696d89b2aa97785e15c",
            "scrypt:1024:8:1$YBkhuE9Ae1vpPFOf$3cca14d52339c50d9138da0e25164171f507b1020fc0386faba5fa5cdd6548bd1a38cd2c6af315849986ffb568d28ecf9ec5c0763b8696d89b2aa97785e15c0x",
            "scrypt:1024:8$YBkhuE9Ae1vpPFOf$3cca14d52339c50d9138da0e25164171f507b1020fc0386faba5fa5cdd6548bd1a38cd2c6af315849986ffb568d28ecf9ec5c0763b8696d89b2aa97785e15c0d",
            "scrypt:1024:8:1:1$YBkhuE9Ae1vpPFOf$3cca14d52339c50d9138da0e25164171f507b1020fc0386faba5fa5cdd6548bd1a38cd2c6af315849986ffb568d28ecf9ec5c0763b8696d89b2aa97785e15c0d",
            "scrypt$16$salt$8$2",
            "scrypt$16$$8$2$ot+C4ar9hEuIScPorKSj84+2nOKrJzJBwxH6v7lZ5/4Xzyqne2jR9QDgrwAmkQtN4DIBdaZguO/gQKbp/gwctA==",
            "scrypt$16$salt$8$2$",
            "scrypt$16$salt$8$2$ot+C4ar9hEuIScPorKSj84+2nOKrJzJBwxH6v7lZ5/4Xzyqne2jR9QDgrwAmkQtN4DIBdaZguO/gQKbp/gwctA=",
            "scrypt$16$salt$8$2$ot+C4ar9hEuIScPorKSj84+2nOKrJzJBwxH6v7lZ5/4X",
            "scrypt$salt$16$8$2$ot+C4ar9hEuIScPorKSj84+2nOKrJzJBwxH6v7lZ5/4Xzyqne2jR9QDgrwAmkQtN4DIBdaZguO/gQKbp/gwctA==",
            "scrypt$16$salt$8$2$1$ot+C4ar9hEuIScPorKSj84+2nOKrJzJBwxH6v7lZ5/4Xzyqne2jR9QDgrwAmkQtN4DIBdaZguO/gQKbp/gwctA==",
        ]);
    }
}
