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
//! path = "/Reports/**"
//! case = "exact"               # for this spelling alone
//!
//! [[rules]]
//! path = "/**"                 # any live token
//! ```
//!
//! **Case.** A rule that asks for a token also guards the path in other cases, because some services take `/ADMIN` and
//! `/admin` for the same. Such a request has to meet the rule that guards the other spelling, and the rule for its own. A
//! rule that asks for none is for its own spelling. `case = "exact"` limits a rule to its own spelling, and `case = "any"`
//! extends it to all.

use serde::Deserialize;

use super::{
    demand::{Demand, InvalidDemand},
    path::{OriginalPath, Reading},
    pattern::Pattern,
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
    case: Case,
    admission: Admission,
}

/// The spellings of a path that a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// Its own.
    Exact,
    /// Its own. It guards the others, too.
    Guarding,
    /// All.
    Any,
}

/// The rules for one reading of a path: the first that matches it as it is, and one before that guards it in another case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Matching {
    own: Option<usize>,
    guarding: Option<usize>,
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

impl Admission {
    /// The demand on the caller's token; `None` when a token is not required.
    pub(super) fn demand(&self) -> Option<&Demand> {
        match self {
            Self::Token(demand) => Some(demand),
            Self::Public | Self::Optional => None,
        }
    }
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
    case: Option<Spelled>,
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

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Spelled {
    Exact,
    Any,
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

    /// The requirements for a request with this method and path. It has to meet each of them. There is at least one.
    ///
    /// # Errors
    /// [`Undecided`] when no rule matches, or when the readings of the path match different rules.
    pub fn admissions(&self, method: &str, path: &OriginalPath) -> Result<Vec<&Admission>, Undecided> {
        let mut readings = path.all().iter().map(|reading| self.matching(method, reading));
        let Some(Matching { own, guarding }) = readings.next() else { return Err(Undecided::NoRule) };
        if readings.any(|other| other != Matching { own, guarding }) {
            return Err(Undecided::Ambiguous);
        }
        let deciding: Vec<_> =
            [guarding, own].into_iter().flatten().map(|at| &self.0[at].admission).collect();
        if deciding.is_empty() { Err(Undecided::NoRule) } else { Ok(deciding) }
    }

    fn matching(&self, method: &str, reading: &Reading) -> Matching {
        let first = |in_any_case: fn(Case) -> bool| {
            self.0.iter().position(|rule| rule.matches(method, reading, in_any_case(rule.case)))
        };
        let own = first(|case| case == Case::Any);
        let guarding = first(|case| case != Case::Exact);
        Matching { own, guarding: guarding.filter(|_| guarding != own) }
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
        let case = match (entry.case, &admission) {
            (Some(Spelled::Any), _) => Case::Any,
            (None, Admission::Token(_)) => Case::Guarding,
            (Some(Spelled::Exact), _) | (None, Admission::Public | Admission::Optional) => Case::Exact,
        };
        Ok(Self { pattern, methods: entry.methods, case, admission })
    }

    fn matches(&self, method: &str, reading: &Reading, in_any_case: bool) -> bool {
        let method = if method == "HEAD" { "GET" } else { method };
        let is_for = |methods: &Vec<String>| methods.iter().any(|held| held == method);
        self.methods.as_ref().is_none_or(is_for) && self.pattern.matches(reading, in_any_case)
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

#[cfg(test)]
mod tests;
