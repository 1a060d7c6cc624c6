//! Requests of proxies. The input is the target of an original request. An input with a line end is a file of rules.

use std::sync::LazyLock;

use countermark::forward_auth::{Admission, OriginalPath, Rules};

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let public = "[[rules]]\npath = \"/public/**\"\naccess = \"public\"\n";
    let others = "[[rules]]\npath = \"/admin/**\"\nroles = [\"admin\"]\n[[rules]]\npath = \"/**\"\n";
    Rules::from_toml(&format!("{public}{others}")).expect("rules")
});

/// Reads a target, or rules. A target that the rules make public must be public in every reading of a lax server,
/// too.
pub fn decide(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if text.contains('\n') {
        if let Err(error) = Rules::from_toml(text) {
            assert!(!error.to_string().is_empty());
        }
        return;
    }
    let Ok(path) = OriginalPath::parse(text) else { return };
    for reading in path.readings() {
        assert!(
            reading.iter().all(|segment| !segment.contains(['/', '\\', ';', '\0', '\r', '\n'])),
            "{text}"
        );
    }
    let admissions = RULES.admissions("GET", &path);
    if admissions.as_ref().is_ok_and(|all| all.iter().all(|admission| **admission == Admission::Public)) {
        for reading in lax_readings(text) {
            assert_eq!(
                reading.first().map(String::as_str),
                Some("public"),
                "a lax server reads {text} as {reading:?}"
            );
        }
    }
}

/// The readings of the path by lax servers: they decode once or more, cut off parameters and all behind a question mark or a
/// number sign, take fullwidth forms for ASCII, ignore blanks and dots at the end of a segment, and merge slashes or not.
fn lax_readings(target: &str) -> Vec<Vec<String>> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let mut spellings = vec![path.to_owned()];
    for _ in 0..3 {
        let last = spellings.last().map(String::as_str).unwrap_or_default();
        spellings.push(String::from_utf8_lossy(&decoded(last.as_bytes())).into_owned());
    }
    let mut readings = Vec::new();
    for spelling in spellings.iter().skip(1) {
        let spelling: String = spelling.chars().map(narrow).collect();
        let spelling = spelling.split(['?', '#', '\0']).next().unwrap_or_default();
        for merges in [true, false] {
            let mut reading: Vec<String> = Vec::new();
            let rooted = spelling.strip_prefix(['/', '\\']).unwrap_or(spelling);
            for segment in rooted.split(['/', '\\']) {
                let segment = segment.split(';').next().unwrap_or_default();
                match trimmed(segment) {
                    "." => {}
                    ".." => drop(reading.pop()),
                    "" if merges => {}
                    plain => reading.push(plain.to_owned()),
                }
            }
            readings.push(reading);
        }
    }
    readings
}

/// The ASCII character of a fullwidth form.
fn narrow(wide: char) -> char {
    match u32::from(wide) {
        code @ 0xff01..=0xff5e => char::from_u32(code - 0xfee0).unwrap_or(wide),
        _ => wide,
    }
}

/// Without blanks and dots at the end, unless it is a dot segment.
fn trimmed(segment: &str) -> &str {
    match segment.trim_end_matches([' ', '.']) {
        "" => segment,
        trimmed => trimmed,
    }
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let escape = escape.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        match escape.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()) {
            Some(byte) => (decoded.push(byte), at += 3),
            None => (decoded.push(bytes[at]), at += 1),
        };
    }
    decoded
}
