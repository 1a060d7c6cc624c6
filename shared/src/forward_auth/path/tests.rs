//! The readings of paths, and the paths that have none.

use super::*;

fn readings(target: &str) -> Vec<String> {
    let path = OriginalPath::parse(target).unwrap();
    path.readings().map(|segments| format!("/{}", segments.join("/"))).collect()
}

#[test]
fn a_plain_path_has_one_reading() {
    assert_eq!(readings("/"), ["/"]);
    assert_eq!(readings("/a/b?x=/../y"), ["/a/b"]);
    assert_eq!(readings("/a/b/"), ["/a/b"]);
    assert_eq!(readings("/%61dmin/caf%C3%A9%20x/100%25"), ["/admin/caf\u{e9} x/100%"]);
    assert_eq!(
        readings("/v1.0/a.b/.well-known/~me/x:y@z,w'(1)*+=&$!"),
        ["/v1.0/a.b/.well-known/~me/x:y@z,w'(1)*+=&$!"]
    );
}

#[test]
fn dot_segments_and_doubled_slashes_are_read_as_sent_and_resolved() {
    assert_eq!(readings("/public/../admin"), ["/public/../admin", "/admin"]);
    assert_eq!(readings("/a/./b"), ["/a/./b", "/a/b"]);
    assert_eq!(readings("//admin"), ["//admin", "/admin"]);
    assert_eq!(readings("/a/.."), ["/a/..", "/"]);
}

#[test]
fn what_file_systems_take_for_the_same_is_read_plain_too() {
    for (target, plain) in [
        ("/admin./x", "/admin/x"),
        ("/admin../x", "/admin/x"),
        ("/admin%20/x", "/admin/x"),
        ("/admin%20.%20./x", "/admin/x"),
        ("/%20admin/x", "/admin/x"),
        ("/admin%C2%A0", "/admin"),
        ("/%EF%BD%81dmin", "/admin"),
        ("/%EF%BD%81%EF%BD%84%EF%BD%8D%EF%BD%89%EF%BD%8E", "/admin"),
        ("/%F0%9D%90%9Admin", "/admin"),
        ("/%E2%93%90dmin", "/admin"),
        ("/ad%C2%ADmin", "/admin"),
        ("/ad%E2%80%8Bmin", "/admin"),
        ("/%EF%BB%BFadmin", "/admin"),
        ("/%E2%80%AEadmin", "/admin"),
        ("/admin%EF%B8%8F", "/admin"),
        ("/o%EF%AC%83ce", "/office"),
        ("/cafe%CC%81", "/caf\u{e9}"),
    ] {
        let found = readings(target);
        assert_eq!((found.len(), found[1].as_str()), (2, plain), "{target}: {found:?}");
    }
    assert_eq!(readings("/x/../admin."), ["/x/../admin.", "/admin.", "/x/../admin", "/admin"]);
}

/// Paths that servers may read in different ways.
const REFUSED: &[(&str, PathError)] = {
    use PathError::{Character, Escape, NoPath, Nowhere, Parameters, Separator};
    &[
        ("", NoPath),
        ("*", NoPath),
        ("admin", NoPath),
        ("\\admin", NoPath),
        ("?/admin", NoPath),
        ("http://host/admin", NoPath),
        ("/a b", Character),
        ("/a\tb", Character),
        ("/a\0", Character),
        ("/a%00", Character),
        ("/a%09", Character),
        ("/a%0d%0aX: y", Character),
        ("/a%0A", Character),
        ("/a%1f", Character),
        ("/a%7F", Character),
        ("/a%C2%85", Character),
        ("/a%E2%80%A8", Character),
        ("/a#b", Character),
        ("/caf\u{e9}", Character),
        ("/a\\b", Character),
        ("/a%5cb", Separator),
        ("/a%5Cb", Separator),
        ("/public%2f..%2fadmin", Separator),
        ("/public%2F..%2fadmin", Separator),
        ("/admin%3Fx", Separator),
        ("/admin%3fx", Separator),
        ("/admin%3F", Separator),
        ("/admin%23x", Separator),
        ("/admin%2Ehtml", Separator),
        ("/public/%2e%2E/admin", Separator),
        ("/public/.%2e/admin", Separator),
        ("/public/%2E/admin", Separator),
        ("/admin%EF%BC%9Fx", Separator),
        ("/admin%EF%BC%83x", Separator),
        ("/admin%EF%BC%9Bx", Separator),
        ("/a%EF%BC%8Fb", Separator),
        ("/a%EF%BC%BCb", Separator),
        ("/a%EF%B9%A8b", Separator),
        ("/a%EF%B9%96b", Separator),
        ("/a%EF%BC%852f", Separator),
        ("/a%25%EF%BC%92%EF%BC%A6b", Separator),
        ("/a%E2%84%80b", Separator),
        ("/admin::$DATA", Separator),
        ("/admin%3A%3A%24data", Separator),
        ("/admin::$INDEX_ALLOCATION/x", Separator),
        ("/public/%EF%BC%8E%EF%BC%8E/admin", Nowhere),
        ("/public/%E2%80%A5/admin", Nowhere),
        ("/public/%E2%80%A4%E2%80%A4/admin", Nowhere),
        ("/public/.%E2%80%8B./admin", Nowhere),
        ("/public/.../admin", Nowhere),
        ("/public/..%20/admin", Nowhere),
        ("/public/%20/admin", Nowhere),
        ("/%", Escape),
        ("/%2", Escape),
        ("/%zz", Escape),
        ("/%+1", Escape),
        ("/%u002f", Escape),
        ("/%25u002f", Escape),
        ("/%25U002F", Escape),
        ("/%ff", Escape),
        ("/%c0%af", Escape),
        ("/%c0%ae%c0%ae/admin", Escape),
        ("/%e0%80%af", Escape),
        ("/%f0%80%80%af", Escape),
        ("/%ed%a0%80", Escape),
        ("/%80", Escape),
        ("/public/%252e%252e/admin", Escape),
        ("/a%252F", Escape),
        ("/a%25252F", Escape),
        ("/a%25%32%46", Escape),
        ("/admin%253Fx", Escape),
        ("/public/..;/admin", Parameters),
        ("/admin;x=y", Parameters),
        ("/admin;", Parameters),
        ("/admin%3bx", Parameters),
        ("/admin%3Bx", Parameters),
        ("/..", Nowhere),
        ("/a/../../b", Nowhere),
        ("/a//../b", Nowhere),
    ]
};

#[test]
fn what_servers_disagree_on_is_refused() {
    for &(target, error) in REFUSED {
        assert_eq!(OriginalPath::parse(target), Err(error), "{target}");
    }
    let long = format!("/{}", "a".repeat(MAX_TARGET_BYTES));
    assert_eq!(OriginalPath::parse(&long), Err(PathError::TooLong));
}
