//! argon2: makes all new hashes, and checks PHC strings of argon2-cffi, passlib and Django.

use ::argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt},
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use super::{InvalidHash, memory::HashMemory};

/// Memory, passes and lanes of a new hash: 19 MiB, two passes, one lane. This is the least that OWASP recommends for
/// argon2id.
const PARAMS: Params = match Params::new(19 * 1_024, 2, 1, Some(32)) {
    Ok(params) => params,
    Err(_) => Params::DEFAULT,
};

/// Length of a new hash's salt, in bytes.
const SALT: usize = 16;

/// Maximum memory of a hash, in KiB: 64 MiB. A hash that needs more is refused.
const MAX_KIB: u32 = 64 * 1_024;

/// Maximum of memory times passes, in KiB: 16 passes over 64 MiB. That takes 0.9 s of a busy core (AMD EPYC), and
/// less of an idle one. The defaults of argon2-cffi and of passlib have 3 passes.
const MAX_KIB_PASSES: u64 = 16 * 64 * 1_024;

/// A parsed hash.
pub(super) struct Argon2Hash {
    params: Params,
    algorithm: Algorithm,
    version: Version,
    salt: Salt,
    output: Output,
}

impl Argon2Hash {
    pub(super) fn parse(phc: &str) -> Result<Self, InvalidHash> {
        let phc = Phc::new(phc).map_err(|_| InvalidHash::UnknownForm)?;
        Ok(Self {
            params: params(&phc)?,
            algorithm: Algorithm::try_from(phc.algorithm.as_str()).map_err(|_| InvalidHash::UnknownForm)?,
            // The first argon2 version did not write a version.
            version: phc.version.unwrap_or(0x10).try_into().map_err(|_| InvalidHash::UnknownForm)?,
            salt: phc.salt.ok_or(InvalidHash::UnknownForm)?,
            output: phc.hash.ok_or(InvalidHash::UnknownForm)?,
        })
    }

    /// `true` when a new hash would have the same algorithm, version and parameters.
    pub(super) fn is_current(&self) -> bool {
        self.algorithm == Algorithm::Argon2id
            && self.version == Version::V0x13
            && self.params == PARAMS
            && self.salt.len() >= SALT
    }

    pub(super) fn is_right(&self, attempt: &[u8], memory: &mut HashMemory) -> bool {
        compute(attempt, &self.salt, self.params.clone(), self.algorithm, self.version, memory).is_ok_and(
            |computed| verify_slices_are_equal(computed.as_bytes(), self.output.as_bytes()).is_ok(),
        )
    }
}

/// Hashes `password` with the random `salt`, in PHC form.
pub(super) fn hash(password: &[u8], salt: [u8; SALT], memory: &mut HashMemory) -> Result<Phc, InvalidHash> {
    let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
    let output = compute(password, &salt, PARAMS, algorithm, version, memory)?;
    Ok(Phc {
        algorithm: algorithm.ident(),
        version: Some(version.into()),
        params: ParamsString::try_from(&PARAMS).map_err(|_| InvalidHash::UnknownForm)?,
        salt: Some(Salt::new(&salt).map_err(|_| InvalidHash::UnknownForm)?),
        hash: Some(output),
    })
}

/// A hash with the parameters of a new one that no password matches.
pub(super) fn dummy() -> String {
    let (m, t, p) = (PARAMS.m_cost(), PARAMS.t_cost(), PARAMS.p_cost());
    let (salt, output) = ("A".repeat(22), "A".repeat(43));
    format!("$argon2id$v=19$m={m},t={t},p={p}${salt}${output}")
}

fn params(phc: &Phc) -> Result<Params, InvalidHash> {
    // The library would use its own defaults for missing parameters, so all must be present.
    if !["m", "t", "p"].iter().all(|&name| phc.params.get(name).is_some()) {
        return Err(InvalidHash::UnknownForm);
    }
    let params = Params::try_from(phc).map_err(|_| InvalidHash::UnknownForm)?;
    let passes = u64::from(params.m_cost()) * u64::from(params.t_cost());
    let is_cheap = params.m_cost() <= MAX_KIB && passes <= MAX_KIB_PASSES;
    if is_cheap { Ok(params) } else { Err(InvalidHash::TooCostly) }
}

fn compute(
    attempt: &[u8],
    salt: &[u8],
    params: Params,
    algorithm: Algorithm,
    version: Version,
    memory: &mut HashMemory,
) -> Result<Output, InvalidHash> {
    let blocks = memory.blocks(params.block_count());
    let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let argon2 = Argon2::new(algorithm, version, params);
    let mut buffer = Zeroizing::new([0; Output::MAX_LENGTH]);
    let output = buffer.get_mut(..length).ok_or(InvalidHash::UnknownForm)?;
    argon2
        .hash_password_into_with_memory(attempt, salt, output, blocks)
        .map_err(|_| InvalidHash::UnknownForm)?;
    Output::new(output).map_err(|_| InvalidHash::UnknownForm)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            HashMemory, PasswordHash, dummy_hash,
            tests::{HORSE, STAPLE, check, fits, refuse},
        },
        *,
    };

    #[test]
    fn the_dummy_hash_costs_the_same_and_fits_nobody() {
        let dummy = Argon2Hash::parse(dummy_hash().as_str()).unwrap_or_else(|_| panic!("it does not parse"));
        assert_eq!(dummy.params, PARAMS);
        assert!(!dummy.is_right(b"", &mut HashMemory::default()));
    }

    #[test]
    fn hashes_of_argon2_cffi_passlib_and_django_fit_their_password_alone() {
        check(
            STAPLE,
            &[
                "$argon2i$v=16$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$f5IBIz6KlvIWr/vqdl5nWDe0Jn0R7NMqVIhEU1Vo5qA",
                "$argon2i$v=19$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$onpPVO/whtistOUBx5EGFEf5VAfly9mIhrDzQsE+u3M",
                "$argon2d$v=16$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$+KstdOur0hpxfMHD2SshFy+ssu/f/kVQgcv/ERZd0uk",
                "$argon2d$v=19$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$svnaSge3+RPk12X+IBc/h1YdD+2yhCOMqtYS/pJmYkI",
                "$argon2id$v=16$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$PQH17vHSFJh5lP/8uPqzUo0qOt7zATFVWrBhUckx4dU",
                "$argon2id$v=19$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$7fGVnfUHpkpjaYj6xffuAuR1Hl7KYZoU7NPIbqAEwWg",
                "$argon2i$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$f5IBIz6KlvIWr/vqdl5nWDe0Jn0R7NMqVIhEU1Vo5qA",
                "$argon2id$v=19$m=64,t=1,p=4$H8MYg3Dufa91TomRsnZuTQ$Egn4pYiLE3D5Z5Z+BkJQLhG8VKI55QsDnQ7oQOQ58sk",
                "argon2$argon2id$v=19$m=64,t=1,p=8$c2Vhc2FsdDAxMjM0NTY3ODlhYmNkZQ$hE7Ol/US7uM/gFhThq75MwYM89PC1uzEXbVn0G5epFo",
            ],
        );
        check(
            HORSE,
            &[
                "$argon2i$v=16$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$IWnb5wLVrHrna7gMr9lbPaAu6FHMQ/9/nh43Md3fFcs",
                "$argon2i$v=19$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$d26Zod66H6WMbXb5L/r0H2zWFMOF1ysTBQbxpgF+ugs",
                "$argon2d$v=16$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$MPc5r2Qw/xrFcpz0DlX8Hi8ua2AqOc7vSjytVzOgeqI",
                "$argon2d$v=19$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$4XdM7RNtxfz+K3tPbh91k37kjDxUgl5yfjIIxc/8hPA",
                "$argon2id$v=16$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$uQIWLnT3eBgovb9wmALVsIMsn3CEmk8RdQfyZhDRPbE",
                "$argon2id$v=19$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$tnVvSdZtOkqZ1YK5GGhhAaviLH813Lv2Hs66r2mFQHg",
                "$argon2i$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$IWnb5wLVrHrna7gMr9lbPaAu6FHMQ/9/nh43Md3fFcs",
                "$argon2id$v=19$m=64,t=1,p=4$R0hprZVSKqVUKmXsvTdGqA$TON45OfuichReyy9r+acOGw4C+u2zFRaO3Y/+0ny6iw",
                "argon2$argon2id$v=19$m=64,t=1,p=8$c2Vhc2FsdDAxMjM0NTY3ODlhYmNkZQ$jlnJhJ7NIMiuDPAidazJyBFIjAkuoaaowG2GInPg2Kc",
            ],
        );
    }

    #[test]
    fn the_default_of_argon2_cffi_is_within_the_limits() {
        assert!(fits(
            STAPLE,
            "$argon2id$v=19$m=65536,t=3,p=4$7QZFQTkh/Lj0w4uPJYZmCw$g7PWzupW4XB4LHk9EUDDHuH24EiZg1Uov6euYfMLxAA"
        ));
    }

    #[test]
    fn a_hash_that_would_take_more_than_64_mib_is_refused() {
        let dummy = dummy_hash();
        refuse(&[
            &dummy.as_str().replace("m=19456", "m=65537"),
            &dummy.as_str().replace("m=19456", "m=4294967295"),
        ]);
    }

    #[test]
    fn a_hash_that_would_take_more_than_a_second_is_refused() {
        let (memory, dummy) = ("m=65536", dummy_hash());
        let dummy = dummy.as_str().replace("m=19456", memory);
        assert!(dummy.replace("t=2", "t=16").parse::<PasswordHash>().is_ok());
        refuse(&[&dummy.replace("t=2", "t=17"), &dummy.replace("t=2", "t=4294967295")]);
    }

    #[test]
    fn a_malformed_hash_is_refused() {
        refuse(&[
            "$argon2id$v=19$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg",
            "$argon2id$v=19$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$",
            "$argon2id$v=19$m=64,t=1,p=2$$7fGVnfUHpkpjaYj6xffuAuR1Hl7KYZoU7NPIbqAEwWg",
            "$argon2id$v=19$m=64,t=1,p=2$MDEy$7fGVnfUHpkpjaYj6xffuAuR1Hl7KYZoU7NPIbqAEwWg",
            "$argon2id$v=19$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$7fGVnfUHpkpjaYj6xffuAuR1Hl7KYZoU7NPIbqAEwW!",
            "$argon2id$v=19$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$7fGV",
            "$argon2id$v=19$m=64,t=1$MDEyMzQ1Njc4OWFiY2RlZg$7fGVnfUHpkpjaYj6xffuAuR1Hl7KYZoU7NPIbqAEwWg",
            "$argon2id$v=19$m=64,t=0,p=2$MDEyMzQ1Njc4OWFiY2RlZg$7fGVnfUHpkpjaYj6xffuAuR1Hl7KYZoU7NPIbqAEwWg",
            "$argon2id$v=19$m=8,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$7fGVnfUHpkpjaYj6xffuAuR1Hl7KYZoU7NPIbqAEwWg",
            "$argon2id$v=18$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$7fGVnfUHpkpjaYj6xffuAuR1Hl7KYZoU7NPIbqAEwWg",
            "$argon2id$v=19$MDEyMzQ1Njc4OWFiY2RlZg$7fGVnfUHpkpjaYj6xffuAuR1Hl7KYZoU7NPIbqAEwWg",
            "$argon2x$v=19$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$7fGVnfUHpkpjaYj6xffuAuR1Hl7KYZoU7NPIbqAEwWg",
            "argon2argon2id$v=19$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$7fGVnfUHpkpjaYj6xffuAuR1Hl7KYZoU7NPIbqAEwWg",
            "argon2$$argon2id$v=19$m=64,t=1,p=2$MDEyMzQ1Njc4OWFiY2RlZg$7fGVnfUHpkpjaYj6xffuAuR1Hl7KYZoU7NPIbqAEwWg",
            "argon2$2b$04$lO2cOunKYs9puJRM5EitheHYdb4ezu18lROG8wYaVfHTSZdVRAP/.",
        ]);
    }
}
