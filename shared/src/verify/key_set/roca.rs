//! Recognizes RSA moduli whose primes a faulty library made (ROCA, CVE-2017-15361): they can be factored.
//!
//! The test is the one of Nemec, Sys, Svenda, Klinec and Matyas, "The Return of Coppersmith's Attack" (ACM CCS 2017),
//! §2.2. The library made each prime as k·M + (65537^a mod M), where M is a product of small primes. So modulo each of
//! these small primes the modulus is a power of 65537. A modulus from elsewhere passes for all of them by chance once in
//! 2^27 or less.

/// The small primes that divide M for every size of key.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// `true` when the big-endian `modulus` has the mark of the faulty library.
pub(super) fn has_mark(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| is_power_of_65537(remainder(modulus, prime), prime))
}

fn remainder(modulus: &[u8], prime: u32) -> u32 {
    modulus.iter().fold(0, |rest, &byte| (rest * 256 + u32::from(byte)) % prime)
}

fn is_power_of_65537(value: u32, prime: u32) -> bool {
    let step = 65_537 % prime;
    let mut power = 1;
    loop {
        if power == value {
            return true;
        }
        power = power * step % prime;
        if power == 1 {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_moduli_of_wycheproof_have_the_mark_and_their_neighbours_do_not() {
        let text = include_str!("../../../../tests/fixtures/roca_keys.json");
        let vectors: Value = serde_json::from_str(text).unwrap();
        let vectors = vectors["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 2);
        for vector in vectors {
            let mut modulus = URL_SAFE_NO_PAD.decode(vector["jwk"]["n"].as_str().unwrap()).unwrap();
            assert!(has_mark(&modulus));
            let last = modulus.len() - 1;
            for change in 1..=64 {
                modulus[last] = modulus[last].wrapping_add(2);
                assert!(!has_mark(&modulus), "{change}");
            }
        }
    }

    #[test]
    fn powers_of_65537_are_those_of_its_subgroup() {
        // 65537 is 10 modulo 11, so its powers are 1 and 10.
        assert_eq!((0..11).filter(|&value| is_power_of_65537(value, 11)).collect::<Vec<_>>(), [1, 10]);
        for prime in PRIMES {
            let powers = (0..prime).filter(|&value| is_power_of_65537(value, prime)).count();
            assert!(powers >= 1 && (prime - 1) % u32::try_from(powers).unwrap() == 0, "{prime}");
            assert!(!is_power_of_65537(0, prime), "{prime}");
        }
    }
}
