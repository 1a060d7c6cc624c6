//! The end of a certificate. The TLS library checks the whole certificate and does not say when it ends, so this reads two
//! fields of it (RFC 5280 §4.1).

use std::time::UNIX_EPOCH;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xA0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The last instant at which a certificate is valid, in seconds since 1970. `None` when the bytes are no certificate.
pub(super) fn not_after(certificate: &[u8]) -> Option<i64> {
    let (body, _) = element(certificate, SEQUENCE)?;
    let (mut rest, _) = element(body, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = skip(rest)?;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = skip(rest)?;
    }
    let (validity, _) = element(rest, SEQUENCE)?;
    let end = skip(validity)?;
    let kind = *end.first()?;
    let text = std::str::from_utf8(element(end, kind)?.0).ok()?.strip_suffix('Z')?;
    let text = match kind {
        GENERALIZED_TIME => text.to_owned(),
        // Two digits stand for 1950 to 2049.
        UTC_TIME if text < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        _ => return None,
    };
    let part = |from: usize, to: usize| text.get(from..to);
    let [year, month, day] = [part(0, 4)?, part(4, 6)?, part(6, 8)?];
    let [hour, minute, second] = [part(8, 10)?, part(10, 12)?, part(12, 14)?];
    let instant =
        humantime::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()?;
    i64::try_from(instant.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// The content of the element of that kind at the beginning, and what follows it.
fn element(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
        // A length of more than four bytes is no certificate's.
        let digits = Some(digits).filter(|digits| (1..=4).contains(&digits.len()))?;
        (digits.iter().fold(0, |length, &digit| (length << 8) | usize::from(digit)), rest)
    };
    (found == kind).then(|| rest.split_at_checked(length)).flatten()
}

fn skip(bytes: &[u8]) -> Option<&[u8]> {
    element(bytes, *bytes.first()?).map(|(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms_of_time() {
        let key = KeyPair::generate().unwrap();
        for (year, seconds) in
            [(2030, 1_893_456_000), (2049, 2_493_072_000), (2050, 2_524_608_000), (2100, 4_102_444_800)]
        {
            let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            parameters.not_after = date_time_ymd(year, 1, 1);
            let certificate = parameters.self_signed(&key).unwrap();
            assert_eq!(not_after(certificate.der()), Some(seconds), "{year}");
            for cut in 0..certificate.der().len() {
                let _ = not_after(&certificate.der()[..cut]);
            }
        }
        for garbage in [&b""[..], b"x", &[0x30], &[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF], &[0x30, 0x89]] {
            assert_eq!(not_after(garbage), None);
        }
    }
}
