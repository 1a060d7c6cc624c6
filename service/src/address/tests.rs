//! How hops are read: tables, and a property about what a client may write.

use std::iter;

use axum::http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

fn trusted() -> TrustedProxies {
    TrustedProxies::new(["10.0.0.0/8", "fd00::/8", "127.0.0.1"].map(|text| text.parse().unwrap()).to_vec())
}

/// The client of `peer`, with those lines of that header.
fn read(peer: &str, header: &'static str, lines: &[&[u8]]) -> ClientAddress {
    let mut headers = HeaderMap::new();
    for line in lines {
        let value = HeaderValue::from_bytes(line).unwrap();
        headers.append(HeaderName::from_static(header), value);
    }
    trusted().client_address(peer.parse().unwrap(), &headers)
}

fn client(peer: &str, forwarded: &[&str]) -> String {
    let lines: Vec<_> = forwarded.iter().map(|line| line.as_bytes()).collect();
    read(peer, "x-forwarded-for", &lines).address.to_string()
}

#[test]
fn the_right_most_untrusted_hop_is_the_client() {
    assert_eq!(client("10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.9.9.9"]), "1.2.3.4");
    assert_eq!(client("10.0.0.1", &["6.6.6.6", "1.2.3.4", "10.9.9.9"]), "1.2.3.4");
    assert_eq!(client("10.0.0.1", &["6.6.6.6, 1.2.3.4", "10.9.9.9:443, [fd00::2]:80"]), "1.2.3.4");
    assert_eq!(client("10.0.0.1", &["10.2.2.2,10.3.3.3"]), "10.2.2.2");
    assert_eq!(client("fd00::1", &["2001:db8::7"]), "2001:db8::7");
}

#[test]
fn an_untrusted_peer_is_the_client_whatever_it_says() {
    assert_eq!(client("5.5.5.5", &["1.2.3.4"]), "5.5.5.5");
    assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    for (header, doubt) in [
        ("x-forwarded-for", Some(Doubt::UntrustedPeer)),
        ("forwarded", Some(Doubt::UntrustedPeer)),
        ("x-real-ip", None),
    ] {
        let found = read("5.5.5.5", header, &[b"for=1.2.3.4"]);
        assert_eq!((found.address.to_string(), found.doubt), ("5.5.5.5".to_owned(), doubt), "{header}");
    }
}

/// How a hop is written, and the address that it names.
const HOPS: [(&[u8], Option<&str>); 56] = [
    (b"203.0.113.7", Some("203.0.113.7")),
    (b" 203.0.113.7 ", Some("203.0.113.7")),
    (b"\t203.0.113.7\t", Some("203.0.113.7")),
    (b"203.0.113.7:51234", Some("203.0.113.7")),
    (b"203.0.113.7:1", Some("203.0.113.7")),
    (b"203.0.113.7:65535", Some("203.0.113.7")),
    (b"203.0.113.7:_port", Some("203.0.113.7")),
    (b"\"203.0.113.7\"", Some("203.0.113.7")),
    (b"\"203.0.113.7:80\"", Some("203.0.113.7")),
    (b"2001:db8::1", Some("2001:db8::1")),
    (b"2001:DB8:0:0:0:0:0:1", Some("2001:db8::1")),
    (b"[2001:db8::1]", Some("2001:db8::1")),
    (b"[2001:db8::1]:4711", Some("2001:db8::1")),
    (b"[2001:db8::1]:_port", Some("2001:db8::1")),
    (b"\"[2001:db8::1]\"", Some("2001:db8::1")),
    (b"\"[2001:db8::1]:4711\"", Some("2001:db8::1")),
    (b"\" [2001:db8::1]:4711 \"", Some("2001:db8::1")),
    (b"2001:db8:1:2:3:4:5:6:51234", Some("2001:db8:1:2:3:4:5:6")),
    (b"2001:db8::1:51234", Some("2001:db8::1")),
    (b"fe80::1%eth0", Some("fe80::1")),
    (b"[fe80::1%25eth0]:443", Some("fe80::1")),
    (b"::ffff:203.0.113.7", Some("203.0.113.7")),
    (b"::ffff:cb00:7107", Some("203.0.113.7")),
    (b"[::ffff:203.0.113.7]:443", Some("203.0.113.7")),
    (b"::ffff:203.0.113.7:51234", Some("203.0.113.7")),
    (b"[203.0.113.7]:80", Some("203.0.113.7")),
    (b"unknown", None),
    (b"Unknown", None),
    (b"\"unknown\"", None),
    (b"_hidden", None),
    (b"_SEVKISEK", None),
    (b"\"_gazonk:80\"", None),
    (b"", None),
    (b"   ", None),
    (b"\"\"", None),
    (b"-", None),
    (b"unix:", None),
    (b"/run/proxy.sock", None),
    (b"localhost", None),
    (b"example.com:80", None),
    (b"203.0.113", None),
    (b"203.0.113.256", None),
    (b"203.0.113.07", None),
    (b"203.0.113.7.", None),
    (b"203.0.113.7:", None),
    (b"203.0.113.7:65536", None),
    (b"203.0.113.7:http", None),
    (b"203.0.113.7/32", None),
    (b"203.0.113.7 198.51.100.1", None),
    (b"[2001:db8::1", None),
    (b"[2001:db8::1]4711", None),
    (b"[2001:db8::1]:", None),
    (b"\"203.0.113.7", None),
    (b"0.0.0.0", None),
    (b"::", None),
    (b"203.0.113.7\xfc", None),
];

#[test]
fn a_hop_is_read_however_it_is_written_and_an_odd_one_is_the_proxy_that_wrote_it() {
    for (hop, address) in HOPS {
        let shown = String::from_utf8_lossy(hop);
        let expected = match address {
            Some(address) => ClientAddress { address: address.parse().unwrap(), doubt: None },
            None => ClientAddress { address: "10.9.9.9".parse().unwrap(), doubt: Some(Doubt::UnreadableHop) },
        };
        // Left of it stands what the client wrote, and right of it a trusted proxy.
        let line = [b"6.6.6.6, ".as_slice(), hop, b", 10.9.9.9:8080"].concat();
        assert_eq!(read("10.0.0.1", "x-forwarded-for", &[&line]), expected, "X-Forwarded-For: {shown}");
        let lines = [b"6.6.6.6".as_slice(), hop, b"10.9.9.9"];
        assert_eq!(read("10.0.0.1", "x-forwarded-for", &lines), expected, "lines: {shown}");
        let line = [b"for=6.6.6.6, For=".as_slice(), hop, b";proto=https;by=_x, for=10.9.9.9"].concat();
        assert_eq!(read("10.0.0.1", "forwarded", &[&line]), expected, "Forwarded: {shown}");
    }
}

#[test]
fn an_odd_hop_costs_no_other_hop() {
    for odd in ["unknown", "_hidden", "", "\"", "203.0.113.7:http", "\"10.0.0.1, "] {
        let line = format!("{odd}, 203.0.113.7");
        assert_eq!(client("10.0.0.1", &[&line]), "203.0.113.7", "{line}");
        assert_eq!(client("10.0.0.1", &[odd, "203.0.113.7"]), "203.0.113.7", "{odd}");
    }
    assert_eq!(
        read("10.0.0.1", "x-forwarded-for", &[b"\xff\xfe, 203.0.113.7"]).address.to_string(),
        "203.0.113.7"
    );
}

#[test]
fn forwarded_counts_without_x_forwarded_for_and_is_read_from_the_right() {
    let forwarded = |line: &str| read("10.0.0.1", "forwarded", &[line.as_bytes()]).address.to_string();
    assert_eq!(forwarded(r#"for="[2001:db8::1]:4711""#), "2001:db8::1");
    assert_eq!(forwarded("proto=http; FOR=203.0.113.7 ;by=10.0.0.1"), "203.0.113.7");
    // An open quote of the client takes nothing away from what the proxy added.
    assert_eq!(forwarded(r#"for=", for=203.0.113.7"#), "203.0.113.7");
    assert_eq!(forwarded(r#"for=6.6.6.6;host="\", for=203.0.113.7"#), "203.0.113.7");
    // A comma within quotes begins no element.
    assert_eq!(forwarded(r#"for=203.0.113.7;host="a, for=6.6.6.6;x=""#), "203.0.113.7");
    assert_eq!(forwarded(r#"for=203.0.113.7;host="a\", for=6.6.6.6;x=\"""#), "203.0.113.7");
    assert_eq!(forwarded("for=6.6.6.6, proto=https"), "10.0.0.1");
    assert_eq!(forwarded("for=6.6.6.6;for=7.7.7.7"), "10.0.0.1");
    let mut both = HeaderMap::new();
    both.append("forwarded", "for=6.6.6.6".parse().unwrap());
    both.append("x-forwarded-for", "203.0.113.7".parse().unwrap());
    let found = trusted().client_address("10.0.0.1".parse().unwrap(), &both);
    assert_eq!(found.address.to_string(), "203.0.113.7");
}

#[test]
fn a_mapped_address_is_its_ipv4_self() {
    assert_eq!(client("::ffff:10.0.0.1", &["::ffff:1.2.3.4"]), "1.2.3.4");
    let mapped = TrustedProxies::new(vec!["::ffff:10.0.0.0/104".parse().unwrap()]);
    assert!(mapped.trusts("10.1.2.3".parse().unwrap()) && mapped.trusts("::ffff:10.1.2.3".parse().unwrap()));
    assert!(!mapped.trusts("11.1.2.3".parse().unwrap()));
}

#[test]
fn limits_count_an_ipv6_address_as_its_64() {
    let network = |text: &str| network_of(text.parse().unwrap()).to_string();
    assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    assert_eq!(network("::ffff:1.2.3.4"), "1.2.3.4");
    assert_eq!("10.0.0.0/33".parse::<Network>(), Err(NetworkError::Malformed));
}

/// Ways to write an address.
fn written(address: IpAddr, way: u8, port: u16) -> String {
    match (address, way % 4) {
        (IpAddr::V4(address), 0) => address.to_string(),
        (IpAddr::V4(address), 1) => format!("{address}:{port}"),
        (IpAddr::V4(address), 2) => format!("::ffff:{address}"),
        (IpAddr::V4(address), _) => format!("\"[{}]:{port}\"", address.to_ipv6_mapped()),
        (IpAddr::V6(address), 0) => address.to_string(),
        (IpAddr::V6(address), 1) => format!("[{address}]:{port}"),
        (IpAddr::V6(address), 2) => format!("[{address}]"),
        (IpAddr::V6(address), _) => format!("\"[{address}]:{port}\""),
    }
}

fn stranger() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
        any::<u128>().prop_map(|bits| IpAddr::V6(bits.into()).to_canonical()),
    ]
    .prop_filter("a stranger", |address| !trusted().trusts(*address) && !address.is_unspecified())
}

proptest! {
    /// Whatever a client writes on the left, it counts as the address that the proxies saw.
    #[test]
    fn a_client_never_chooses_its_address(
        own in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b','), Just(b'\\'), 0x20..0x7f_u8, 0x80..=0xff_u8], 0..60),
        client in stranger(),
        proxies in proptest::collection::vec((any::<u32>(), any::<u8>()), 0..3),
        (way, port) in any::<(u8, u16)>(),
        is_own_line in any::<bool>(),
    ) {
        let proxies = proxies.iter().map(|&(bits, way)| (IpAddr::V4((bits & 0x00ff_ffff | 0x0a00_0000).into()), way));
        let hops: Vec<_> = iter::once((client, way)).chain(proxies).map(|(hop, way)| written(hop, way, port)).collect();
        let plain = hops.join(", ");
        let standard: Vec<_> = hops.iter().map(|hop| format!("for=\"{}\"", hop.trim_matches('"'))).collect();
        for (header, line) in [("x-forwarded-for", plain), ("forwarded", standard.join(", "))] {
            let joined = [own.as_slice(), b", ", line.as_bytes()].concat();
            let lines: &[&[u8]] = if is_own_line { &[&own, line.as_bytes()] } else { &[&joined] };
            let expected = ClientAddress { address: client, doubt: None };
            prop_assert_eq!(read("10.0.0.1", header, lines), expected, "{}", line);
        }
    }
}
