//! Which rule decides, and which rules are refused.

use super::*;

const RULES: &str = r#"
    [[rules]]
    path = "/public/**"
    access = "public"
    [[rules]]
    path = "/admin/**"
    roles = ["admin"]
    [[rules]]
    path = "/documents/*"
    methods = ["GET"]
    scopes = ["documents:read"]
    [[rules]]
    path = "/documents/**"
    scopes = ["documents:write"]
    fresh = true
    max_age = "5m"
    [[rules]]
    path = "/v*/s-*-e.png"
    access = "optional"
"#;

fn decide(method: &str, target: &str) -> Result<Admission, Undecided> {
    let rules = Rules::from_toml(RULES).unwrap();
    let admissions = rules.admissions(method, &OriginalPath::parse(target).unwrap())?;
    assert_eq!(admissions.len(), 1, "{method} {target}");
    Ok(admissions[0].clone())
}

/// The numbers of the rules of `text` that a request with that path has to meet, from 1.
fn numbers(text: &str, target: &str) -> Result<Vec<usize>, Undecided> {
    let rules = Rules::from_toml(text).unwrap();
    let admissions = rules.admissions("GET", &OriginalPath::parse(target).unwrap())?;
    let number = |admission: &&Admission| {
        let at = rules.0.iter().position(|rule| std::ptr::eq(&raw const rule.admission, *admission));
        at.unwrap() + 1
    };
    Ok(admissions.iter().map(number).collect())
}

fn token(pairs: &[(&'static str, &'static str)]) -> Admission {
    let pairs = pairs.iter().map(|&(name, value)| (name.into(), value.into()));
    Admission::Token(Demand::of(pairs).unwrap())
}

fn refused(text: &str) -> String {
    Rules::from_toml(text).map(|rules| panic!("accepted: {rules:?}")).unwrap_err().to_string()
}

#[test]
fn the_first_rule_that_matches_decides() {
    let read = Ok(token(&[("scope", "documents:read")]));
    let write = Ok(token(&[("scope", "documents:write"), ("fresh", "true"), ("max_age", "5m")]));
    assert_eq!(decide("GET", "/public"), Ok(Admission::Public));
    assert_eq!(decide("GET", "/public/a/b"), Ok(Admission::Public));
    assert_eq!(decide("GET", "/admin/"), Ok(token(&[("role", "admin")])));
    assert_eq!(decide("GET", "/documents/7"), read);
    assert_eq!(decide("HEAD", "/documents/7"), read);
    assert_eq!(decide("PUT", "/documents/7"), write);
    assert_eq!(decide("GET", "/documents/7/pages"), write);
    assert_eq!(decide("GET", "/v1/s-x-e.png"), Ok(Admission::Optional));
    assert_eq!(decide("GET", "/v1/s--e.png"), Ok(Admission::Optional));
}

#[test]
fn what_no_rule_matches_is_closed() {
    for target in ["/", "/publi", "/public2", "/PUBLIC/a", "/v/x/s-x-e.png", "/v1/s-e.png", "/v1/s-x-e.pngx"]
    {
        assert_eq!(decide("GET", target), Err(Undecided::NoRule), "{target}");
    }
}

#[test]
fn a_path_with_two_readings_needs_one_rule_for_both() {
    assert_eq!(decide("GET", "/public/../admin"), Err(Undecided::Ambiguous));
    assert_eq!(decide("GET", "/admin/../public/x"), Err(Undecided::Ambiguous));
    assert_eq!(decide("GET", "//admin"), Err(Undecided::Ambiguous));
    assert_eq!(decide("GET", "/public/a/../b"), Ok(Admission::Public));
    assert_eq!(decide("GET", "/public//b"), Ok(Admission::Public));
}

#[test]
fn a_rule_that_guards_also_guards_other_cases_and_one_that_opens_does_not() {
    const RULES: &str = r#"
        [[rules]]
        path = "/static/**"
        access = "public"
        [[rules]]
        path = "/Admin/**"
        roles = ["admin"]
        [[rules]]
        path = "/admin/logo.png"
        access = "public"
        [[rules]]
        path = "/exact/**"
        roles = ["admin"]
        case = "exact"
        [[rules]]
        path = "/Assets/**"
        access = "public"
        case = "any"
        [[rules]]
        path = "/caf\u00e9/\u0130/*.PDF"
        [[rules]]
        path = "/open/**"
        access = "public"
        [[rules]]
        path = "/**"
        scopes = ["all"]
    "#;
    for (target, expected) in [
        ("/static/x", &[1][..]),
        ("/STATIC/x", &[8]),
        ("/Static", &[8]),
        ("/Admin/x", &[2]),
        ("/admin/x", &[2, 8]),
        ("/ADMIN/x", &[2, 8]),
        ("/aDmIn", &[2, 8]),
        ("/%41dmin/x", &[2]),
        ("/%61DMIN/x", &[2, 8]),
        ("/admin/logo.png", &[2, 3]),
        ("/exact/x", &[4]),
        ("/Exact/x", &[8]),
        ("/Assets/x", &[5]),
        ("/assets/x", &[5]),
        ("/ASSETS/x", &[5]),
        ("/caf%C3%A9/%C4%B0/a.PDF", &[6]),
        ("/CAF%C3%89/%C4%B0/A.pdf", &[6, 8]),
        ("/open/x", &[7]),
        ("/OPEN/x", &[8]),
        ("/other", &[8]),
    ] {
        assert_eq!(numbers(RULES, target), Ok(expected.to_vec()), "{target}");
    }
    for target in
        ["/Admin./x", "/Admin%20/x", "/%EF%BC%A1dmin/x", "/Ad%C2%ADmin/x", "/static./x", "//Admin/x"]
    {
        assert_eq!(numbers(RULES, target), Err(Undecided::Ambiguous), "{target}");
    }
}

#[test]
fn the_plain_form_of_a_path_is_compared_with_the_plain_form_of_a_pattern() {
    let rules = "[[rules]]\npath = '/Inc.'\n[[rules]]\npath = '/cafe\u{301}'\n";
    assert_eq!(numbers(rules, "/Inc."), Ok(vec![1]));
    assert_eq!(numbers(rules, "/Inc"), Err(Undecided::NoRule));
    assert_eq!(numbers(rules, "/cafe%CC%81"), Ok(vec![2]));
}

#[test]
fn rules_that_are_not_whole_are_refused() {
    assert!(refused("").contains("missing field `rules`"));
    assert!(refused("[[rules]]\npath = '/a'\ncase = 'lower'").starts_with("line 3: unknown variant `lower`"));
    assert!(refused("[[rules]]\npath = '/a'\nrole = 'x'").starts_with("line 3: unknown field `role`"));
    for (rule, problem) in [
        ("path = 'a'", "must begin with a slash"),
        ("path = '/a/../b'", "no dot segments"),
        ("path = '/a//b'", "no empty"),
        ("path = '/a/**/b'", "as its last segment alone"),
        ("path = '/a**'", "as its last segment alone"),
        ("path = '/a/...'", "blanks and dots alone"),
        ("path = '/a\u{ff0f}b'", "another spelling"),
        ("path = '/a%20b'", "without escapes"),
        ("path = '/a'\nmethods = []", "methods must be"),
        ("path = '/a'\nmethods = ['get']", "methods must be"),
        ("path = '/a'\naccess = 'public'\nroles = ['admin']", "lets in whoever has none"),
        ("path = '/a'\nscopes = ['']", "scope can't be"),
        ("path = '/a'\nmax_age = 'soon'", "max_age can't be"),
    ] {
        let message = refused(&format!("[[rules]]\npath = '/first'\n[[rules]]\n{rule}"));
        assert!(message.starts_with("[[rules]] 2: ") && message.contains(problem), "{message}");
    }
}

/// Ways to write a character of a path.
fn written(char: char, way: u8) -> String {
    let escaped = |char: char| {
        let mut buffer = [0; 4];
        let bytes = char.encode_utf8(&mut buffer).bytes();
        bytes.fold(String::new(), |text, byte| format!("{text}%{byte:02X}"))
    };
    match way {
        0 => escaped(char),
        1 => escaped(char).to_lowercase(),
        2 => char.to_ascii_uppercase().to_string(),
        3 => escaped(char.to_ascii_uppercase()),
        // Fullwidth.
        4 => escaped(char::from_u32(u32::from(char) + 0xfee0).unwrap()),
        5 => format!("%25{:02X}", u32::from(char)),
        6 => format!("{char}%C2%AD"),
        7 => format!("%E2%80%8B{char}"),
        _ => char.to_string(),
    }
}

proptest::proptest! {
    /// However a path of the guarded rule is written, no request passes by that rule.
    #[test]
    fn no_spelling_of_a_guarded_path_is_left_to_a_later_rule(
        ways in proptest::collection::vec(0..24_u8, 5),
        before in proptest::sample::select(vec!["/", "//", "/./", "/x/../", "/%2e/", "/%2F", "\\", "/%5C", "/public/../", "/.//"]),
        behind in proptest::sample::select(vec![
            "", "/", "/users", "/users/", ".", "..", "%20", "%20/users", "./users", "%2E", ";x", "%3Bx", ";/users", "%3Fx", "%23x",
            "?x", "%00", "%09", "%0A/users", "%2Fusers", "%2fusers", "\\users", "%5Cusers", "/../admin", "//users", "/./users",
            "%C2%A0", "%E2%80%AE", "::$DATA", "%EF%BC%8Fusers", "%EF%BC%9Fx", "%252Fusers", "%", "%c0%af", "/users%3F", "/%2e%2e/x",
        ]),
    ) {
        const GUARDED: &str = "[[rules]]\npath = '/public/**'\naccess = 'public'\n\
            [[rules]]\npath = '/admin/**'\nroles = ['admin']\n[[rules]]\npath = '/**'\n";
        let word: String = "admin".chars().zip(ways).map(|(char, way)| written(char, way)).collect();
        let target = format!("{before}{word}{behind}");
        let rules = Rules::from_toml(GUARDED).unwrap();
        if let Ok(path) = OriginalPath::parse(&target)
            && let Ok(admissions) = rules.admissions("GET", &path)
        {
            let guard = token(&[("role", "admin")]);
            proptest::prop_assert!(admissions.contains(&&guard), "{}", target);
        }
    }
}
