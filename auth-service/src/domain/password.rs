//! Passwords and their hashes: argon2id, with its parameters in the PHC string beside each hash.

use std::{fmt, str::FromStr};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash as Phc, Salt},
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

/// Memory, passes and lanes of a new hash: the least that OWASP advises for argon2id, 19 MiB, two passes, one lane.
const PARAMS: Params = match Params::new(19 * 1_024, 2, 1, Some(32)) {
    Ok(params) => params,
    Err(_) => Params::DEFAULT,
};

/// A hash that would take more than 64 MiB is not computed.
const MAX_KIB: u32 = 64 * 1_024;

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

/// The hash of a password, in PHC form.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// A text that is no hash which a password can be checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an argon2 hash in PHC form")]
pub struct InvalidHash;

impl PasswordHash {
    /// The PHC string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PasswordHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        parameters(text).map(|_| Self(text.to_owned()))
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// The working memory of one hash at a time. Kept between hashes it saves the kernel from clearing 19 MiB each time.
#[derive(Default)]
pub struct HashMemory(Vec<Block>);

impl HashMemory {
    /// The capacity is reserved, not touched, beyond what glibc ever serves from its heap (32 MiB): the block is mapped
    /// on its own, so that dropping it gives the memory back to the system at once.
    const CAPACITY: usize = 40 * 1_024;

    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.capacity() == 0 {
            self.0.reserve_exact(Self::CAPACITY);
        }
        if self.0.len() < count {
            self.0.resize(count, Block::default());
        }
        &mut self.0[..count]
    }
}

impl fmt::Debug for HashMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashMemory({} KiB)", self.0.len())
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
    let output = compute(&password.0, &salt, PARAMS, Algorithm::Argon2id, Version::V0x13, memory)?;
    let phc = Phc {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&PARAMS).map_err(|_| InvalidHash)?,
        salt: Some(Salt::new(&salt).map_err(|_| InvalidHash)?),
        hash: Some(output),
    };
    Ok(PasswordHash(phc.to_string()))
}

/// Whether `attempt` is the password that `hash` was made of. Takes as long as hashing does, whatever the outcome.
#[must_use]
pub fn is_right(attempt: &Attempt, hash: &PasswordHash, memory: &mut HashMemory) -> bool {
    let Ok(Known { params, algorithm, version, salt, output }) = parameters(&hash.0) else { return false };
    compute(attempt, &salt, params, algorithm, version, memory)
        .is_ok_and(|computed| verify_slices_are_equal(computed.as_bytes(), output.as_bytes()).is_ok())
}

/// The hash that an unknown account is checked against, so that it takes as long as a known one. Nobody knows a password
/// for it: there is none with an all-zero hash.
#[must_use]
pub fn dummy_hash() -> PasswordHash {
    let (m, t, p) = (PARAMS.m_cost(), PARAMS.t_cost(), PARAMS.p_cost());
    let (salt, output) = ("A".repeat(22), "A".repeat(43));
    PasswordHash(format!("$argon2id$v=19$m={m},t={t},p={p}${salt}${output}"))
}

/// A hash, taken apart.
struct Known {
    params: Params,
    algorithm: Algorithm,
    version: Version,
    salt: Salt,
    output: Output,
}

fn parameters(hash: &str) -> Result<Known, InvalidHash> {
    let phc = Phc::new(hash).map_err(|_| InvalidHash)?;
    let params = Params::try_from(&phc).map_err(|_| InvalidHash)?;
    if params.m_cost() > MAX_KIB {
        return Err(InvalidHash);
    }
    Ok(Known {
        params,
        algorithm: Algorithm::try_from(phc.algorithm.as_str()).map_err(|_| InvalidHash)?,
        version: phc.version.unwrap_or(0x13).try_into().map_err(|_| InvalidHash)?,
        salt: phc.salt.ok_or(InvalidHash)?,
        output: phc.hash.ok_or(InvalidHash)?,
    })
}

fn compute(
    attempt: &Attempt,
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
    let output = buffer.get_mut(..length).ok_or(InvalidHash)?;
    argon2
        .hash_password_into_with_memory(attempt.0.as_bytes(), salt, output, blocks)
        .map_err(|_| InvalidHash)?;
    Output::new(output).map_err(|_| InvalidHash)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_dummy_hash_costs_the_same_and_fits_nobody() {
        let dummy = dummy_hash();
        let Ok(known) = parameters(dummy.as_str()) else { panic!("the dummy hash does not parse") };
        assert_eq!(known.params.m_cost(), PARAMS.m_cost());
        assert_eq!(known.params.t_cost(), PARAMS.t_cost());
        assert!(!is_right(&Attempt::from(String::new()), &dummy, &mut HashMemory::default()));
    }

    #[test]
    fn a_password_has_8_to_1024_bytes() {
        assert!(password("1234567").is_err());
        assert!(password("12345678").is_ok());
        assert!(password(&"x".repeat(1_024)).is_ok());
        assert!(password(&"x".repeat(1_025)).is_err());
    }

    #[test]
    fn a_hash_that_would_take_more_than_64_mib_is_refused() {
        let greedy = dummy_hash().as_str().replace("m=19456", "m=65537");
        assert_eq!(greedy.parse::<PasswordHash>(), Err(InvalidHash));
    }
}
