//! The requirements for each path. Rules are in a TOML file, in order. The first rule that matches decides. A request
//! that no rule matches is refused.
//!
//! ```toml
//! [[rules]]
//! path = "/static/**"          # the path itself, and everything below it
//! access = "public"            # nobody looks at a token; "optional": one that is there must be good
//!
//! [[rules]]
//! path = "/documents/*"        # `*` is any text within one segment
//! methods = ["GET"]            # HEAD with it; without `methods` a rule is for all of them
//! scopes = ["documents:read"]
//!
//! [[rules]]
//! path = "/admin/**"
//! roles = ["admin"]
//! audiences = ["admin-ui"]     # beyond those that the verifier accepts
//! fresh = true                 # straight from a login
//! max_age = "5m"               # or a login at most so long ago (RFC 9470)
//!
//! [[rules]]
//! path = "/**"                 # any live token
//! ```

use serde::Deserialize;

use super::{
    demand::{Demand, InvalidDemand},
    path::OriginalPath,
};

/// Rules, in order.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Rule>);

/// Rules that cannot be parsed.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRules(String);

crate::sentence::debug_is_sentence!(InvalidRules);

/// A rule: the requests that it matches, and its requirements.
#[derive(Clone, Debug)]
struct Rule {
    pattern: Pattern,
    methods: Option<Vec<String>>,
    admission: Admission,
}

/// Requirements of a rule on the caller.
///
/// It is exhaustive, so that the compiler finds every decision that lacks a new kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// No requirement. Tokens are ignored.
    Public,
    /// A token is optional, but a token that is there must be valid.
    Optional,
    /// A live token that meets the demand.
    Token(Demand),
}

/// Why no rule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Undecided {
    /// No rule matches.
    #[error("no rule is for this path")]
    NoRule,
    /// The path has two readings, and different rules match them.
    #[error("the path can be read in two ways, by different rules")]
    Ambiguous,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rules: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: String,
    methods: Option<Vec<String>>,
    #[serde(default)]
    access: Access,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    audiences: Vec<String>,
    #[serde(default)]
    fresh: bool,
    max_age: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Access {
    Public,
    Optional,
    #[default]
    Token,
}

impl Rules {
    /// Parses the text of a rules file.
    ///
    /// # Errors
    /// [`InvalidRules`] names the first rule that cannot be used, and the reason.
    pub fn from_toml(text: &str) -> Result<Self, InvalidRules> {
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            InvalidRules(format!("line {line}: {}", error.message()))
        })?;
        let numbered = file.rules.into_iter().enumerate();
        let rules = numbered.map(|(at, entry)| {
            Rule::of(entry).map_err(|problem| InvalidRules(format!("[[rules]] {}: {problem}", at + 1)))
        });
        rules.collect::<Result<_, _>>().map(Self)
    }

    /// The requirements for a request with this method and path.
    ///
    /// # Errors
    /// [`Undecided`] when no rule matches, or when the readings of the path match different rules.
    pub fn admission(&self, method: &str, path: &OriginalPath) -> Result<&Admission, Undecided> {
        let first = |reading: &[String]| self.0.iter().position(|rule| rule.matches(method, reading));
        let mut readings = path.readings();
        let decided = readings.next().and_then(first);
        if readings.any(|reading| first(reading) != decided) {
            return Err(Undecided::Ambiguous);
        }
        decided.map(|at| &self.0[at].admission).ok_or(Undecided::NoRule)
    }
}

impl Rule {
    fn of(entry: Entry) -> Result<Self, String> {
        let pattern = Pattern::parse(&entry.path)?;
        let is_method =
            |method: &String| !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
        if entry.methods.as_ref().is_some_and(|methods| methods.is_empty() || !methods.iter().all(is_method))
        {
            return Err("methods must be names like \"GET\", at least one".to_owned());
        }
        let demand = entry.demand().map_err(|error| error.to_string())?;
        let admission = match entry.access {
            Access::Token => Admission::Token(demand),
            Access::Public | Access::Optional if demand.asks() => {
                return Err("asks something of a token, and lets in whoever has none".to_owned());
            }
            Access::Public => Admission::Public,
            Access::Optional => Admission::Optional,
        };
        Ok(Self { pattern, methods: entry.methods, admission })
    }

    fn matches(&self, method: &str, path: &[String]) -> bool {
        let method = if method == "HEAD" { "GET" } else { method };
        let is_for = |methods: &Vec<String>| methods.iter().any(|held| held == method);
        self.methods.as_ref().is_none_or(is_for) && self.pattern.matches(path)
    }
}

impl Entry {
    fn demand(&self) -> Result<Demand, InvalidDemand> {
        let each = |name: &'static str, values: &[String]| {
            values.iter().map(move |value| (name, value.clone())).collect::<Vec<_>>()
        };
        let mut pairs =
            [each("scope", &self.scopes), each("role", &self.roles), each("audience", &self.audiences)]
                .concat();
        pairs.extend(self.fresh.then(|| ("fresh", "true".to_owned())));
        pairs.extend(self.max_age.clone().map(|max_age| ("max_age", max_age)));
        pairs.into_iter().try_fold(Demand::default(), |demand, (name, value)| demand.and(name, &value))
    }
}

/// A path pattern with stars.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    segments: Vec<String>,
    /// Whether the pattern ends with `/**`.
    is_open: bool,
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let refused = |problem: &str| Err(format!("path {text:?} {problem}"));
        let Some(path) = text.strip_prefix('/') else { return refused("must begin with a slash") };
        let is_open = path == "**" || path.ends_with("/**");
        let path = if is_open { &path[..path.len() - 2] } else { path };
        let path = path.strip_suffix('/').unwrap_or(path);
        let segments: Vec<_> = path.split('/').filter(|_| !path.is_empty()).map(str::to_owned).collect();
        if segments.iter().any(|segment| matches!(segment.as_str(), "" | "." | "..")) {
            return refused("must have no empty and no dot segments");
        }
        if segments.iter().any(|segment| segment.contains("**")) {
            return refused("may have ** as its last segment alone");
        }
        // Patterns are written unescaped: é, not %C3%A9.
        if text.contains(|char: char| char.is_control() || "%?#;\\".contains(char)) {
            return refused("must be written without escapes, and without any of % ? # ; \\");
        }
        Ok(Self { segments, is_open })
    }

    fn matches(&self, path: &[String]) -> bool {
        let fits =
            if self.is_open { path.len() >= self.segments.len() } else { path.len() == self.segments.len() };
        fits && self.segments.iter().zip(path).all(|(pattern, segment)| star_matches(pattern, segment))
    }
}

/// Whether `segment` matches `pattern`. A star stands for any text, also for the empty text, but an empty segment
/// matches no star.
fn star_matches(pattern: &str, segment: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == segment };
    if segment.is_empty() {
        return false;
    }
    let Some(mut left) = segment.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(end)
}

#[cfg(test)]
mod tests {
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
        rules.admission(method, &OriginalPath::parse(target).unwrap()).cloned()
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
        for target in
            ["/", "/publi", "/public2", "/PUBLIC/a", "/v/x/s-x-e.png", "/v1/s-e.png", "/v1/s-x-e.pngx"]
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
    fn rules_that_are_not_whole_are_refused() {
        assert!(refused("").contains("missing field `rules`"));
        assert!(refused("[[rules]]\npath = '/a'\nrole = 'x'").starts_with("line 3: unknown field `role`"));
        for (rule, problem) in [
            ("path = 'a'", "must begin with a slash"),
            ("path = '/a/../b'", "no dot segments"),
            ("path = '/a//b'", "no empty"),
            ("path = '/a/**/b'", "as its last segment alone"),
            ("path = '/a**'", "as its last segment alone"),
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
}
