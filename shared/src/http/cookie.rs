//! The one reader of cookies. Other programs of the same domain write cookies too, with bytes of any kind. So the header is
//! read as bytes, and a cookie that can't be read costs no other cookie.

use axum::http::{HeaderMap, header};

/// The value of the first cookie that has one of `names` and a value; names come in the order of preference.
///
/// Blanks around names and values, and quotes around a value (RFC 6265 §4.1.1), are no part of them. A semicolon always ends a
/// cookie (RFC 6265 §5.4), also within quotes, and nothing else does: a comma could be part of another program's cookie, which
/// then could smuggle one of ours.
#[must_use]
pub fn cookie<'h>(headers: &'h HeaderMap, names: &[&str]) -> Option<&'h str> {
    names.iter().find_map(|name| cookies(headers, name).next())
}

/// The values of all cookies with that name, in the order in which they came. Another host of a domain can add one to ours.
pub fn cookies<'h>(headers: &'h HeaderMap, wanted: &str) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b';')).filter_map(pair);
    pairs.filter(move |(name, _)| *name == wanted.as_bytes()).filter_map(|(_, value)| readable(value))
}

/// Name and value. `None` for a member without `=`.
fn pair(member: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = member.iter().position(|&byte| byte == b'=')?;
    Some((member[..at].trim_ascii(), member[at + 1..].trim_ascii()))
}

/// The value without its quotes. `None` when it is empty or no text.
fn readable(value: &[u8]) -> Option<&str> {
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    str::from_utf8(quoted.unwrap_or(value)).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 2] = ["__Host-access_token", "__Secure-access_token"];

    fn read(lines: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        cookie(&headers, &NAMES).map(str::to_owned)
    }

    #[test]
    fn cookies_of_others_take_ours_from_no_request() {
        for others in [
            b"utm=Unders\xc3\xb8gelse".as_slice(),
            b"utm=Unders\xf8gelse",
            b"utm=\xff\xfe\x80",
            b"\xfc=1",
            b"utm=\"a, b\"",
            b"utm=\"open",
            b"utm=close\"",
            b"utm=\"",
            b"utm=a\\\"b",
            b"utm=a,b,c",
            b"utm=a b c",
            b"utm={\"a\":1}",
            b"utm=%",
            b"utm==",
            b"=utm",
            b"=",
            b"utm",
            b"",
            b" ",
            b"\t",
            b";",
            b";;;",
            b"$Version=1",
            b"__Host-access_token",
            b"__Host-access_token=",
            b"__Host-access_token=\"\"",
            b"__Host-access_token=\xff",
            b"__host-access_token=other",
            b"__HOST-ACCESS_TOKEN=other",
            b"x__Host-access_token=other",
            b"__Host-access_token2=other",
            b"a=__Host-access_token",
            b"a=1, __Host-access_token=other",
            b"=__Host-access_token=other",
        ] {
            let shown = String::from_utf8_lossy(others);
            let before = [others, b"; __Host-access_token=ours"].concat();
            assert_eq!(read(&[&before]).as_deref(), Some("ours"), "before: {shown}");
            let behind = [b"__Host-access_token=ours; ", others].concat();
            assert_eq!(read(&[&behind]).as_deref(), Some("ours"), "behind: {shown}");
            assert_eq!(
                read(&[others, b"__Host-access_token=ours"]).as_deref(),
                Some("ours"),
                "line: {shown}"
            );
            assert_eq!(read(&[others]), None, "alone: {shown}");
        }
    }

    #[test]
    fn ours_is_read_in_each_spelling_and_the_first_one_counts() {
        for (line, value) in [
            ("__Host-access_token=a", "a"),
            ("  __Host-access_token = a  ", "a"),
            ("\t__Host-access_token=\ta\t", "a"),
            ("x=1;__Host-access_token=a;y=2", "a"),
            ("__Host-access_token=\"a\"", "a"),
            ("__Host-access_token=a=b==", "a=b=="),
            ("__Host-access_token=a; __Host-access_token=b", "a"),
            ("__Secure-access_token=b; __Host-access_token=a", "a"),
            ("__Secure-access_token=b; __Host-access_token=", "b"),
        ] {
            assert_eq!(read(&[line.as_bytes()]).as_deref(), Some(value), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_byte_of_others_changes_what_is_read(
            others in proptest::collection::vec(0x20..=0xff_u8, 0..80),
            is_first in any::<bool>(),
        ) {
            // 0x7f is in no header.
            let others: Vec<u8> = others.into_iter().filter(|&byte| byte != 0x7f).collect();
            prop_assume!(read(&[&others]).is_none());
            let (ours, between) = (b"__Host-access_token=ours".as_slice(), b"; ".as_slice());
            let line = if is_first { [ours, between, &others] } else { [&others, between, ours] }.concat();
            prop_assert_eq!(read(&[&line]), Some("ours".to_owned()));
        }
    }
}
