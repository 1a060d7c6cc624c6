//! The media types that a client accepts, with their weights (RFC 9110 §12.4.2, §12.5.1). `Accept` is read as bytes, range by
//! range: a range that can't be read costs that range alone.

use axum::http::{
    HeaderMap,
    header::{self, HeaderValue},
};

/// The weight of a range without `q`, in thousandths.
const FULL: u16 = 1_000;

/// The readable ranges of `Accept`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted<'h>(Vec<(&'h str, u16)>);

impl<'h> Accepted<'h> {
    /// The ranges of a request. All lines of the header are one list.
    #[must_use]
    pub fn of(headers: &'h HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT).iter().map(HeaderValue::as_bytes);
        Self(lines.flat_map(|line| line.split(|&byte| byte == b',')).filter_map(range).collect())
    }

    /// The weight of a media type that is named itself, in thousandths. 0 means that it is not accepted.
    #[must_use]
    pub fn named(&self, media_type: &str) -> Option<u16> {
        let same = self.0.iter().filter(|(range, _)| range.eq_ignore_ascii_case(media_type));
        same.map(|&(_, weight)| weight).max()
    }

    /// The weight of `kind/subkind`, in thousandths: that of the most exact range. A client without a readable range accepts
    /// everything.
    #[must_use]
    pub fn weight(&self, kind: &str, subkind: &str) -> u16 {
        let without = if self.0.is_empty() { FULL } else { 0 };
        let ranges = [format!("{kind}/{subkind}"), format!("{kind}/*"), "*/*".to_owned()];
        ranges.iter().find_map(|range| self.named(range)).unwrap_or(without)
    }
}

/// A range and its weight. Its other parameters are ignored.
fn range(range: &[u8]) -> Option<(&str, u16)> {
    let mut parts = range.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let range = str::from_utf8(parts.next()?).ok().filter(|range| range.contains('/'))?;
    let weight = parts.find_map(|part| {
        let at = part.iter().position(|&byte| byte == b'=')?;
        part[..at].trim_ascii().eq_ignore_ascii_case(b"q").then(|| part[at + 1..].trim_ascii())
    });
    Some((range, weight.map_or(Some(FULL), thousandths)?))
}

/// `0`, `1`, or one of them with up to three digits behind the point, at most 1.
fn thousandths(weight: &[u8]) -> Option<u16> {
    let (whole, fraction) = match weight {
        [whole, b'.', fraction @ ..] => (whole, fraction),
        [whole] => (whole, [].as_slice()),
        _ => return None,
    };
    if !matches!(whole, b'0' | b'1') || fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().chain(b"000").take(3);
    let fraction = digits.fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    Some(u16::from(whole - b'0') * FULL + fraction).filter(|&weight| weight <= FULL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(lines: &[&[u8]]) -> (Option<u16>, u16) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::ACCEPT, HeaderValue::from_bytes(line).unwrap());
        }
        let accepted = Accepted::of(&headers);
        (accepted.named("application/jwt"), accepted.weight("application", "json"))
    }

    #[test]
    fn each_range_has_its_weight_and_an_odd_one_costs_no_other() {
        for (line, expected) in [
            (b"application/jwt".as_slice(), (Some(1_000), 0)),
            (b"Application/JWT", (Some(1_000), 0)),
            (b" application/jwt ;q=0.5", (Some(500), 0)),
            (b"application/jwt; Q=0.25", (Some(250), 0)),
            (b"application/jwt;q=1.000", (Some(1_000), 0)),
            (b"application/jwt;q=0", (Some(0), 0)),
            (b"application/jwt;q=0.000", (Some(0), 0)),
            (b"application/jwt;q=0.001", (Some(1), 0)),
            (b"application/jwt;q=1.", (Some(1_000), 0)),
            (b"application/jwt;q=0.", (Some(0), 0)),
            (b"application/jwt;level=1;q=0.7;more=2", (Some(700), 0)),
            (b"application/jwt;q=1.001", (None, 1_000)),
            (b"application/jwt;q=2", (None, 1_000)),
            (b"application/jwt;q=0.0001", (None, 1_000)),
            (b"application/jwt;q=.5", (None, 1_000)),
            (b"application/jwt;q=-1", (None, 1_000)),
            (b"application/jwt;q=", (None, 1_000)),
            (b"application/jwt;q=\xff", (None, 1_000)),
            (b"application/jwt;q=0.5, application/json;q=0.4", (Some(500), 400)),
            (b"application/jwt, application/json", (Some(1_000), 1_000)),
            (b"application/jwt;q=0.1, */*", (Some(100), 1_000)),
            (b"application/jwt, */*;q=0.1", (Some(1_000), 100)),
            (b"application/jwt, application/*;q=0.2, */*", (Some(1_000), 200)),
            (b"application/jwt, application/json;q=0, */*", (Some(1_000), 0)),
            (b"text/html, */*", (None, 1_000)),
            (b"text/html", (None, 0)),
            (b"", (None, 1_000)),
            (b",,", (None, 1_000)),
            (b"*", (None, 1_000)),
            (b"\xff\xfe, application/jwt", (Some(1_000), 0)),
            (b"text/\xfc;q=1, application/jwt;q=0.5", (Some(500), 0)),
            (b"text/html;v=\"\xfc\", application/jwt", (Some(1_000), 0)),
            (b"text/html;v=\"open, application/jwt", (Some(1_000), 0)),
            (b"application/jwt;q=0.5, application/jwt;q=0.6", (Some(600), 0)),
        ] {
            assert_eq!(weights(&[line]), expected, "{}", String::from_utf8_lossy(line));
        }
        assert_eq!(weights(&[b"\xff", b"application/jwt"]), (Some(1_000), 0));
        assert_eq!(weights(&[]), (None, 1_000));
    }
}
