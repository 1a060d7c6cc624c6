//! The hops that proxies name, in `X-Forwarded-For` or in `Forwarded` (RFC 7239). They are read as bytes and from the right:
//! the entries on the right are those of the proxies near this service. A client can write entries on the left, and an odd
//! byte or an open quote there changes nothing on the right.

use std::{iter, net::IpAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::FORWARDED};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// `true` when a header names hops.
pub(super) fn are_named(headers: &HeaderMap) -> bool {
    headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(FORWARDED)
}

/// The hops, from the right. `None` is a hop that names no address.
///
/// `Forwarded` counts only without `X-Forwarded-For`. A proxy that writes the one passes the other on as the client sent it.
pub(super) fn from_the_right(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let lines = |name| headers.get_all(name).iter().rev().map(HeaderValue::as_bytes);
    // Only one of the two lists has entries.
    let is_standard = !headers.contains_key(X_FORWARDED_FOR);
    let plain = lines(X_FORWARDED_FOR).flat_map(|line| split(line, b',', Quotes::Plain)).map(address);
    let standard = lines(FORWARDED).filter(move |_| is_standard);
    plain.chain(standard.flat_map(|line| split(line, b',', Quotes::Honoured)).map(element))
}

/// Whether a separator within quotes separates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// It does: quotes mean nothing in this header.
    Plain,
    /// It does not (RFC 9110 §5.6.4).
    Honoured,
}

/// The parts of `text` between separators, the last one first.
fn split(text: &[u8], separator: u8, quotes: Quotes) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    iter::from_fn(move || {
        let text = rest.take()?;
        let mut is_quoted = false;
        for (at, &byte) in text.iter().enumerate().rev() {
            if byte == b'"' && quotes == Quotes::Honoured && !is_escaped(text, at) {
                is_quoted = !is_quoted;
            } else if byte == separator && !is_quoted {
                rest = Some(&text[..at]);
                return Some(&text[at + 1..]);
            }
        }
        Some(text)
    })
}

/// `true` when an odd number of backslashes stands before that byte.
fn is_escaped(text: &[u8], at: usize) -> bool {
    text[..at].iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// The address of an element of `Forwarded`: its only parameter `for`.
fn element(element: &[u8]) -> Option<IpAddr> {
    let mut nodes = split(element, b';', Quotes::Honoured).filter_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=')?;
        pair[..at].trim_ascii().eq_ignore_ascii_case(b"for").then(|| &pair[at + 1..])
    });
    let node = nodes.next()?;
    if nodes.next().is_some() { None } else { address(node) }
}

/// The address of a node (RFC 7239 §6): `203.0.113.7`, `203.0.113.7:51234`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:51234`, each in quotes or not. `unknown`, `_hidden`, an empty text and all other texts name none.
fn address(node: &[u8]) -> Option<IpAddr> {
    let node = str::from_utf8(node).ok()?.trim_matches([' ', '\t']);
    let quoted = node.strip_prefix('"').and_then(|node| node.strip_suffix('"'));
    let node = quoted.unwrap_or(node).trim_matches([' ', '\t']);
    let address = match node.strip_prefix('[') {
        Some(node) => {
            let (node, port) = node.split_once(']')?;
            if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
                return None;
            }
            without_zone(node).parse().ok()?
        }
        None => bare(node)?,
    };
    // A proxy that does not know the address may write 0.0.0.0.
    Some(address.to_canonical()).filter(|address| !address.is_unspecified())
}

/// An address without brackets, with a port or without. `2001:db8::1:443` has no port: it is an address as a whole.
fn bare(node: &str) -> Option<IpAddr> {
    without_zone(node).parse().ok().or_else(|| {
        let (address, _) = node.rsplit_once(':').filter(|(_, port)| is_port(port))?;
        without_zone(address).parse().ok()
    })
}

/// Without the name of a network interface (RFC 6874): `fe80::1%eth0`.
fn without_zone(node: &str) -> &str {
    match node.split_once('%') {
        Some((address, _)) if address.contains(':') => address,
        Some(_) | None => node,
    }
}

/// A number, or an obfuscated port.
fn is_port(port: &str) -> bool {
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    is_number || port.strip_prefix('_').is_some_and(is_name)
}
