//! PBKDF2 hashes as passlib, Werkzeug and Django write them, and in PHC form.

use std::{num::NonZeroU32, ops::RangeInclusive};

use aws_lc_rs::pbkdf2::{self, Algorithm};
use base64::engine::GeneralPurpose;

use super::{
    InvalidHash,
    field::{BASE64, DOTTED, PADDED, base64, fields, hex, number, salt, value},
};

/// The hash function of the HMAC.
#[derive(Clone, Copy)]
pub(super) enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

impl Digest {
    const fn algorithm(self) -> Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }

    /// The length of the digest, in bytes.
    const fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Maximum number of iterations. A million took 0.17 s of a busy core (AMD EPYC) with SHA-1 and SHA-256, for
    /// which it has instructions, and 0.81 s with SHA-512. Three million are permitted for SHA-1 and SHA-256, so that
    /// a processor without these instructions still takes a tolerable time. Django and Werkzeug use about a million
    /// by default.
    const fn max_iterations(self) -> u32 {
        match self {
            Self::Sha1 | Self::Sha256 => 3_000_000,
            Self::Sha512 => 1_000_000,
        }
    }
}

/// A parsed hash.
pub(super) struct Pbkdf2Hash {
    digest: Digest,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Pbkdf2Hash {
    /// Parses the PHC form `i=iterations,l=length$salt$hash`, in which the length is optional, or passlib's
    /// `iterations$salt$hash`.
    pub(super) fn of_phc(digest: Digest, text: &str) -> Result<Self, InvalidHash> {
        let [costs, salt, output] = fields(text, '$')?;
        let Ok(costs) = value(costs, "i") else {
            return Self::whole(digest, costs, bytes(salt, output, &DOTTED)?);
        };
        let (iterations, length) = costs.split_once(',').map_or((costs, None), |(i, l)| (i, Some(l)));
        let (salt, output) = bytes(salt, output, &BASE64)?;
        if let Some(length) = length {
            let length = number(value(length, "l")?)?;
            if usize::try_from(length) != Ok(output.len()) {
                return Err(InvalidHash::UnknownForm);
            }
        }
        // The PHC form permits any length. With fewer than 16 bytes a wrong password might match by chance. More
        // bytes than one digest would multiply the work.
        Self::new(digest, iterations, (salt, output), 16..=digest.length())
    }

    /// Parses Werkzeug's form, `digest:iterations` and `salt$hash`. The salt is plain text, the hash is hexadecimal.
    pub(super) fn of_werkzeug(costs: &str, text: &str) -> Result<Self, InvalidHash> {
        let [digest, iterations] = fields(costs, ':')?;
        let digest = match digest {
            "sha1" => Digest::Sha1,
            "sha256" => Digest::Sha256,
            "sha512" => Digest::Sha512,
            _ => return Err(InvalidHash::UnknownForm),
        };
        let [salt, output] = fields(text, '$')?;
        Self::whole(digest, iterations, (salt.into(), hex(output)?))
    }

    /// Parses Django's form `iterations$salt$hash`. The salt is plain text, the hash is base64 with padding.
    pub(super) fn of_django(digest: Digest, text: &str) -> Result<Self, InvalidHash> {
        let [iterations, salt, output] = fields(text, '$')?;
        Self::whole(digest, iterations, (salt.into(), base64(output, &PADDED)?))
    }

    /// A hash whose output is exactly one digest long.
    fn whole(digest: Digest, iterations: &str, bytes: (Vec<u8>, Vec<u8>)) -> Result<Self, InvalidHash> {
        Self::new(digest, iterations, bytes, digest.length()..=digest.length())
    }

    fn new(
        digest: Digest,
        iterations: &str,
        (salt_bytes, output): (Vec<u8>, Vec<u8>),
        lengths: RangeInclusive<usize>,
    ) -> Result<Self, InvalidHash> {
        let iterations = NonZeroU32::new(number(iterations)?).ok_or(InvalidHash::UnknownForm)?;
        if !lengths.contains(&output.len()) {
            return Err(InvalidHash::UnknownForm);
        }
        if iterations.get() > digest.max_iterations() {
            return Err(InvalidHash::TooCostly);
        }
        Ok(Self { digest, iterations, salt: salt(salt_bytes)?, output })
    }

    pub(super) fn is_right(&self, attempt: &[u8]) -> bool {
        // The library compares in constant time.
        pbkdf2::verify(self.digest.algorithm(), self.iterations, &self.salt, attempt, &self.output).is_ok()
    }
}

fn bytes(salt: &str, output: &str, engine: &GeneralPurpose) -> Result<(Vec<u8>, Vec<u8>), InvalidHash> {
    Ok((base64(salt, engine)?, base64(output, engine)?))
}

#[cfg(test)]
mod tests {
    use super::super::{
        PasswordHash,
        tests::{HORSE, STAPLE, check, fits, refuse},
    };

    #[test]
    fn hashes_of_passlib_fit_their_password_alone() {
        check(
            STAPLE,
            &[
                "$pbkdf2$1000$WIvR.v8fo5RSSsn5HyPEmA$g2m5ZYRCzTFP/wtr7AkKFmAw/VY",
                "$pbkdf2-sha256$1000$rhXCuDeGsPZ.j7F2TkmJMQ$rwkigv41H1VSgDM.uyQigQG42xaoi.9zxzpvox8kw6g",
                "$pbkdf2-sha512$1000$TAnhfI.RsvZeq1XK2TundA$efAHp6JVpKVOSNjIX8.BTgZcirpFVd0uG/O4GlAs3.ph9/Me0fzL70FraT4VVHavvstT6f76kyrnA/oyXvfteQ",
                "$pbkdf2-sha256$29000$YSxlDKE0hnDOWQshZIzR2g$XW6o2wSmIlHGE/9LgdjDtQ2gYG4YhqL6pmTd/cUqbeM",
            ],
        );
        check(
            HORSE,
            &[
                "$pbkdf2$1000$HSOE0Frr/T8nRAhhTIkx5g$q3WOr6KLG1MPjFEa/TtqLGlrDAM",
                "$pbkdf2-sha256$1000$DIGQEkKIca51DgFg7B1jLA$wuH2va.p/x8.G76l3iwXHZaLhPRmtEZDb243NjpKjgk",
                "$pbkdf2-sha512$1000$PwfgXCulVMr5P2cMAeD8Hw$AWc3XIKwyPRvIEK7ZW/t7etz3sHF7AK8PklOVLc.0siD8btIucbX2iFPJG6.UvQ9K9EpRE5swTMNjl11xBEV2w",
                "$pbkdf2-sha256$29000$XUtpba117p1zbo1x7r2XMg$xCuhW9hQetYaQemRrw7FkPbG7YCNonR7l01gokMYp8w",
            ],
        );
    }

    #[test]
    fn hashes_in_phc_form_fit_their_password_alone() {
        check(
            STAPLE,
            &[
                "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$yqSq2SygY1sB4EcH9f2FG0JTMES+wqLsOT5YmiRBplI",
                "$pbkdf2-sha512$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$5bTW2oeyDJyGJPcmEr+mRDE11ghpozWrDGnSNhRXo2Y",
                "$pbkdf2-sha256$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$yqSq2SygY1sB4EcH9f2FG0JTMES+wqLsOT5YmiRBplI",
            ],
        );
        check(
            HORSE,
            &[
                "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$eBlM/3JMS8mQYv9H+gmjEE6HS13rUXL8G5hUg0KBs+k",
                "$pbkdf2-sha512$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$iDCs2AXr69uIsjJgg1GIjyNCZCY0qiEjPGtfURQoxUw",
                "$pbkdf2-sha256$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$eBlM/3JMS8mQYv9H+gmjEE6HS13rUXL8G5hUg0KBs+k",
            ],
        );
    }

    #[test]
    fn hashes_of_werkzeug_fit_their_password_alone() {
        check(
            STAPLE,
            &[
                "pbkdf2:sha1:1000$fDGutINXFZZTAc6p$06d1ad5bf4629f8cd64c83a46e9077f8d87e9359",
                "pbkdf2:sha256:1000$d3Y6b1kWDAjK0yKU$49dcaaee6e882e3838b25d399615d13438c8371c6f133d0efb9eed9125fa487f",
                "pbkdf2:sha512:1000$byJjffIT7DmeQg1k$d1760c17dda4135a96ad4a10d33813848d569d2e9c4f7f6030288016802fb54585050a747c2ed9c6e6bb667ba1e4f7bb762fd2717d2a5d3f4c4fb69cf0bbf99b",
            ],
        );
        check(
            HORSE,
            &[
                "pbkdf2:sha1:1000$Li7KXkms9FGOiEZy$d647109120e39b3d52cb4e48dab840cbcac11647",
                "pbkdf2:sha256:1000$f0bTFVBMX7b6bZJ0$e61b4557a3902a20bfe0d9367c628fda64eda7966d088d1a0265ceb1d4d3ea27",
                "pbkdf2:sha512:1000$i1O8c7l2Rj09M1U5$4aeb927a15d8c96d15b8e5aabd674a016e64d168304f801592259eae176cf6380565fb5d3191241597a2e680973280d54ca288a60366351d6dbbb8368523752d",
            ],
        );
    }

    #[test]
    fn hashes_of_django_fit_their_password_alone() {
        check(
            STAPLE,
            &[
                "pbkdf2_sha1$1000$seasalt0123456789abcde$xKxkrAqFEX1nkgKOjZMPvQbE7ms=",
                "pbkdf2_sha256$1000$seasalt0123456789abcde$vOPse1Ih7LX2xChTias8oqCn3tPiZwR5MnF1G77jGVM=",
            ],
        );
        check(
            HORSE,
            &[
                "pbkdf2_sha1$1000$seasalt0123456789abcde$ik3T3jcj7SxGFVE0+9Z3nEXCXvs=",
                "pbkdf2_sha256$1000$seasalt0123456789abcde$v6HUe11vD8ZAdyFRY94AmLSR/PRCNQZXeZ1OHb8yCuw=",
            ],
        );
    }

    #[test]
    fn the_empty_password_has_a_hash_too() {
        let hash = "pbkdf2:sha256:1000$iAtiwHlhKe5VqdqK$6a070eef7409c33e792abe25769ba33b39bf36e49677ff9e4a5926cc41007d94";
        assert!(fits("", hash));
        assert!(!fits(STAPLE, hash));
    }

    #[test]
    fn the_defaults_of_django_and_werkzeug_are_within_the_limits() {
        for hash in [
            "pbkdf2_sha256$1000000$hGhrQhOhf7On22ghzOpIx4$XaUX2ofAdvMpHbd4S3TkKMtMlHRYY7yoZ5IrvQo9tVo=",
            "pbkdf2:sha256:1000000$eL1NwfOqKdNmmYcO$22936a99e7d0ee14d89faaf4a5d05bd87e84cd4b519e1960bb7cc12fd4fb0eda",
        ] {
            assert!(hash.parse::<PasswordHash>().is_ok(), "{hash}");
        }
    }

    #[test]
    fn iterations_that_would_take_more_than_a_second_are_refused() {
        let with = |iterations| {
            format!(
                "pbkdf2_sha256${iterations}$seasalt0123456789abcde$vOPse1Ih7LX2xChTias8oqCn3tPiZwR5MnF1G77jGVM="
            )
        };
        assert!(with("3000000").parse::<PasswordHash>().is_ok());
        refuse(
            &["3000001", "4294967295", "4294967296", "99999999999999999999"]
                .map(with)
                .each_ref()
                .map(String::as_str),
        );
        refuse(&["0", "", "-1", "+1000", "1e3", "1 000", "0x10"].map(with).each_ref().map(String::as_str));
        refuse(&[
            "pbkdf2:sha512:1000001$salt$d1760c17dda4135a96ad4a10d33813848d569d2e9c4f7f6030288016802fb54585050a747c2ed9c6e6bb667ba1e4f7bb762fd2717d2a5d3f4c4fb69cf0bbf99b",
            "pbkdf2:sha1:3000001$salt$06d1ad5bf4629f8cd64c83a46e9077f8d87e9359",
            "$pbkdf2-sha256$i=3000001$MDEyMzQ1Njc4OWFiY2RlZg$yqSq2SygY1sB4EcH9f2FG0JTMES+wqLsOT5YmiRBplI",
            "$pbkdf2-sha256$3000001$rhXCuDeGsPZ.j7F2TkmJMQ$rwkigv41H1VSgDM.uyQigQG42xaoi.9zxzpvox8kw6g",
        ]);
    }

    #[test]
    fn a_malformed_hash_of_passlib_or_in_phc_form_is_refused() {
        refuse(&[
            "$pbkdf2-sha256$1000$rhXCuDeGsPZ.j7F2TkmJMQ",
            "$pbkdf2-sha256$1000$rhXCuDeGsPZ.j7F2TkmJMQ$",
            "$pbkdf2-sha256$1000$$rwkigv41H1VSgDM.uyQigQG42xaoi.9zxzpvox8kw6g",
            "$pbkdf2-sha256$1000$rhXCuDeGsPZ.j7F2TkmJMQ$rwkigv41H1VSgDM.uyQigQG42xaoi.9zxzpvox8kw6",
            "$pbkdf2-sha256$1000$rhXCuDeGsPZ.j7F2TkmJMQ$rwkigv41H1VSgDM.uyQigQG42xaoi.9zxzpvox8kw+!",
            "$pbkdf2-sha256$1000$rhXCuDeGsPZ.j7F2TkmJMQ$rwkigv41H1VSgDM.uyQigQG42xaoi.9zxzpvox8kw6g=",
            "$pbkdf2-sha256$1000$rhXCuDeGsPZ.j7F2TkmJMQ$rwkigv41H1VSgDM.uyQigQG42xaoi.9zxzpvox8kw6g$",
            "$pbkdf2-sha256$rhXCuDeGsPZ.j7F2TkmJMQ$rwkigv41H1VSgDM.uyQigQG42xaoi.9zxzpvox8kw6g",
            "$pbkdf2-sha512$1000$rhXCuDeGsPZ.j7F2TkmJMQ$rwkigv41H1VSgDM.uyQigQG42xaoi.9zxzpvox8kw6g",
            "$pbkdf2-sha256$i=1000$$yqSq2SygY1sB4EcH9f2FG0JTMES+wqLsOT5YmiRBplI",
            "$pbkdf2-sha256$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$",
            "$pbkdf2-sha256$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$yqSq2SygY1s",
            "$pbkdf2-sha256$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$yqSq2SygY1sB4EcH9f2FG0JTMES.wqLsOT5YmiRBplI",
            "$pbkdf2-sha256$i=1000,l=31$MDEyMzQ1Njc4OWFiY2RlZg$yqSq2SygY1sB4EcH9f2FG0JTMES+wqLsOT5YmiRBplI",
            "$pbkdf2-sha256$i=1000,l=$MDEyMzQ1Njc4OWFiY2RlZg$yqSq2SygY1sB4EcH9f2FG0JTMES+wqLsOT5YmiRBplI",
            "$pbkdf2-sha256$i=1000,l=32,x=1$MDEyMzQ1Njc4OWFiY2RlZg$yqSq2SygY1sB4EcH9f2FG0JTMES+wqLsOT5YmiRBplI",
            "$pbkdf2-sha256$i=1000,p=1$MDEyMzQ1Njc4OWFiY2RlZg$yqSq2SygY1sB4EcH9f2FG0JTMES+wqLsOT5YmiRBplI",
            "$pbkdf2-sha256$l=32,i=1000$MDEyMzQ1Njc4OWFiY2RlZg$yqSq2SygY1sB4EcH9f2FG0JTMES+wqLsOT5YmiRBplI",
            "$pbkdf2-sha1$i=1000$MDEyMzQ1Njc4OWFiY2RlZg$yqSq2SygY1sB4EcH9f2FG0JTMES+wqLsOT5YmiRBplI",
        ]);
    }

    #[test]
    fn a_malformed_hash_of_werkzeug_is_refused() {
        refuse(&[
            "pbkdf2:sha256:1000$d3Y6b1kWDAjK0yKU",
            "pbkdf2:sha256:1000$d3Y6b1kWDAjK0yKU$",
            "pbkdf2:sha256:1000$$49dcaaee6e882e3838b25d399615d13438c8371c6f133d0efb9eed9125fa487f",
            "pbkdf2:sha256:1000$d3Y6b1kWDAjK0yKU$49dcaaee6e882e3838b25d399615d13438c8371c6f133d0efb9eed9125fa487",
            "pbkdf2:sha256:1000$d3Y6b1kWDAjK0yKU$49dcaaee6e882e3838b25d399615d13438c8371c6f133d0efb9eed9125fa48",
            "pbkdf2:sha256:1000$d3Y6b1kWDAjK0yKU$49dcaaee6e882e3838b25d399615d13438c8371c6f133d0efb9eed9125fa487g",
            "pbkdf2:sha256:1000$d3Y6b1kWDAjK0yKU$49dcaaee6e882e3838b25d399615d13438c8371c6f133d0efb9eed9125fa48+1",
            "pbkdf2:sha256:1000$d3Y6b1kWDAjK0yKU$49dcaaee6e882e3838b25d399615d13438c8371c6f133d0efb9eed9125fa487f00",
            "pbkdf2:sha256:1000$d3Y6b1kWDAjK0yKU$49dcaaee6e882e3838b25d399615d13438c8371c6f133d0efb9eed9125fa487f$",
            "pbkdf2:sha256:$d3Y6b1kWDAjK0yKU$49dcaaee6e882e3838b25d399615d13438c8371c6f133d0efb9eed9125fa487f",
            "pbkdf2:sha256$d3Y6b1kWDAjK0yKU$49dcaaee6e882e3838b25d399615d13438c8371c6f133d0efb9eed9125fa487f",
            "pbkdf2:sha256:1000:1$d3Y6b1kWDAjK0yKU$49dcaaee6e882e3838b25d399615d13438c8371c6f133d0efb9eed9125fa487f",
            "pbkdf2:md5:1000$d3Y6b1kWDAjK0yKU$49dcaaee6e882e3838b25d399615d134",
            "pbkdf2:sha512:1000$d3Y6b1kWDAjK0yKU$49dcaaee6e882e3838b25d399615d13438c8371c6f133d0efb9eed9125fa487f",
        ]);
    }

    #[test]
    fn a_malformed_hash_of_django_is_refused() {
        refuse(&[
            "pbkdf2_sha256$1000$seasalt0123456789abcde",
            "pbkdf2_sha256$1000$seasalt0123456789abcde$",
            "pbkdf2_sha256$1000$$vOPse1Ih7LX2xChTias8oqCn3tPiZwR5MnF1G77jGVM=",
            "pbkdf2_sha256$1000$seasalt0123456789abcde$vOPse1Ih7LX2xChTias8oqCn3tPiZwR5MnF1G77jGVM",
            "pbkdf2_sha256$1000$seasalt0123456789abcde$*OPse1Ih7LX2xChTias8oqCn3tPiZwR5MnF1G77jGVM=",
            "pbkdf2_sha256$1000$seasalt0123456789abcde$vOPse1Ih7LX2xChTias8oqCn3tPiZwR5MnF1G77jGVM=$",
            "pbkdf2_sha256$seasalt0123456789abcde$vOPse1Ih7LX2xChTias8oqCn3tPiZwR5MnF1G77jGVM=",
            "pbkdf2_sha1$1000$seasalt0123456789abcde$vOPse1Ih7LX2xChTias8oqCn3tPiZwR5MnF1G77jGVM=",
            "pbkdf2_md5$1000$seasalt0123456789abcde$vOPse1Ih7LX2xChTias8oqCn3tPiZwR5MnF1G77jGVM=",
        ]);
    }
}
