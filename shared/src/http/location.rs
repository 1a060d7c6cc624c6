//! [`Locations`]: where a token may be in a request, and its name there. That is the `Authorization` header (RFC 6750 §2.1) and,
//! when switched on, a cookie, the query (§2.3), a JSON body or a form (§2.2).

use axum::http::{HeaderName, HeaderValue, Method, header};

use crate::verify::location::Location;

/// The names of the access cookie: for one host, or for a domain.
pub const ACCESS_COOKIES: [&str; 2] = ["__Host-access_token", "__Secure-access_token"];

/// The name of an access token in the query, in a JSON body and in a form.
pub(super) const PARAMETER: &str = "access_token";

/// The name of a refresh token in a JSON body and in a form.
pub(super) const REFRESH_PARAMETER: &str = "refresh_token";

/// The header that repeats a token's `csrf` value in an unsafe request by cookie.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// What happens when a request holds more than one token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup {
    /// It is refused with 400 (RFC 6750 §2). A cookie, which browsers send unasked, counts only when no other location
    /// holds a token.
    #[default]
    ExactlyOne,
    /// The first location that holds one decides, in the order of the locations, also when its token is bad. The header
    /// may be a comma list with other schemes in it.
    FirstFound,
}

/// How an unsafe request with a cookie proves that a page of the service sent it: it repeats the token's `csrf` value, which
/// only such a page knows.
///
/// A page can't add a header when it opens a WebSocket. A handshake with a cookie is accepted from a page of the same host, or
/// of an [allowed origin](Self::allow_origins), and otherwise needs the value too, though its method is safe.
#[derive(Clone, Debug)]
pub struct Csrf {
    pub(super) header: HeaderName,
    pub(super) field: Option<Box<str>>,
    pub(super) methods: Option<Vec<Method>>,
    pub(super) origins: Vec<Box<str>>,
}

impl Default for Csrf {
    /// In the header `X-CSRF-Token`, at every method but GET, HEAD, OPTIONS and TRACE.
    fn default() -> Self {
        Self { header: HeaderName::from_static(CSRF_HEADER), field: None, methods: None, origins: Vec::new() }
    }
}

impl Csrf {
    /// In that header instead.
    #[must_use]
    pub fn in_header(self, header: HeaderName) -> Self {
        Self { header, ..self }
    }

    /// Or in that field of a form, when the header is absent; needs [`BodyTokens`](super::BodyTokens) as a layer.
    #[must_use]
    pub fn or_in_field(self, field: &str) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// At those methods alone, safe or not.
    #[must_use]
    pub fn at(self, methods: impl Into<Vec<Method>>) -> Self {
        Self { methods: Some(methods.into()), ..self }
    }

    /// Lets pages of these origins open a `WebSocket` with a cookie, beside those of the same host. An origin is written as browsers
    /// send it: `https://app.example.com`.
    #[must_use]
    pub fn allow_origins(self, origins: impl IntoIterator<Item = impl Into<Box<str>>>) -> Self {
        Self { origins: origins.into_iter().map(Into::into).collect(), ..self }
    }

    pub(super) fn is_asked_at(&self, method: &Method) -> bool {
        self.methods.as_ref().map_or(!method.is_safe(), |methods| methods.contains(method))
    }
}

/// Where tokens are looked for, in which order, and by which names. A location that is not named here does not count.
#[derive(Clone, Debug)]
pub struct Locations {
    pub(super) order: Vec<Location>,
    pub(super) lookup: Lookup,
    pub(super) header: HeaderName,
    pub(super) scheme: Box<str>,
    pub(super) cookies: Vec<Box<str>>,
    pub(super) query: Box<str>,
    pub(super) query_prefix: Box<str>,
    pub(super) member: Box<str>,
    pub(super) refresh_member: Box<str>,
    pub(super) csrf: Option<Csrf>,
}

impl Default for Locations {
    /// The `Authorization` header alone.
    fn default() -> Self {
        Self::of([Location::Header])
    }
}

impl From<Vec<Location>> for Locations {
    fn from(order: Vec<Location>) -> Self {
        Self::of(order)
    }
}

impl<const N: usize> From<[Location; N]> for Locations {
    fn from(order: [Location; N]) -> Self {
        Self::of(order)
    }
}

impl Locations {
    /// Those, in that order, by the names that auth-service uses.
    #[must_use]
    pub fn of(order: impl Into<Vec<Location>>) -> Self {
        Self {
            order: order.into(),
            lookup: Lookup::default(),
            header: header::AUTHORIZATION,
            scheme: "Bearer".into(),
            cookies: ACCESS_COOKIES.map(Box::from).into(),
            query: PARAMETER.into(),
            query_prefix: "".into(),
            member: PARAMETER.into(),
            refresh_member: REFRESH_PARAMETER.into(),
            csrf: Some(Csrf::default()),
        }
    }

    /// What happens when there is more than one token.
    #[must_use]
    pub fn with_lookup(self, lookup: Lookup) -> Self {
        Self { lookup, ..self }
    }

    /// The header, instead of `Authorization`.
    #[must_use]
    pub fn with_header(self, header: HeaderName) -> Self {
        Self { header, ..self }
    }

    /// The scheme in front of the token, instead of `Bearer`, compared without regard to case (RFC 9110 §11.1). When it is
    /// empty the header holds the token and nothing else.
    #[must_use]
    pub fn with_scheme(self, scheme: &str) -> Self {
        Self { scheme: scheme.into(), ..self }
    }

    /// The names of the access cookie, in the order of preference.
    #[must_use]
    pub fn with_cookies(self, names: &[&str]) -> Self {
        Self { cookies: names.iter().map(|&name| name.into()).collect(), ..self }
    }

    /// The parameter of the query, instead of `access_token`.
    #[must_use]
    pub fn with_query(self, parameter: &str) -> Self {
        Self { query: parameter.into(), ..self }
    }

    /// What stands in front of the token in the query; a value without it is no token.
    #[must_use]
    pub fn with_query_prefix(self, prefix: &str) -> Self {
        Self { query_prefix: prefix.into(), ..self }
    }

    /// The member of a JSON body and the field of a form, instead of `access_token` and `refresh_token`.
    #[must_use]
    pub fn with_members(self, access: &str, refresh: &str) -> Self {
        Self { member: access.into(), refresh_member: refresh.into(), ..self }
    }

    /// How requests by cookie repeat the token's `csrf` value; `None` asks for no repetition: only for a service whose
    /// routes change nothing.
    #[must_use]
    pub fn with_csrf(self, csrf: impl Into<Option<Csrf>>) -> Self {
        Self { csrf: csrf.into(), ..self }
    }

    /// Where tokens are looked for, in order.
    #[must_use]
    pub fn order(&self) -> &[Location] {
        &self.order
    }

    pub(super) fn has(&self, location: Location) -> bool {
        self.order.contains(&location)
    }

    pub(super) fn csrf_field(&self) -> Option<&str> {
        self.csrf.as_ref().filter(|_| self.has(Location::Cookie))?.field.as_deref()
    }
}

/// Whether a content type is JSON, parameters aside.
#[must_use]
pub(super) fn is_json(content_type: &HeaderValue) -> bool {
    essence(content_type).is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

/// Whether a content type is JSON or a kind of it (RFC 6839 §3.1).
pub(super) fn is_any_json(content_type: &HeaderValue) -> bool {
    is_json(content_type)
        || essence(content_type).is_some_and(|essence| {
            let essence = essence.to_ascii_lowercase();
            essence.starts_with("application/") && essence.ends_with("+json")
        })
}

/// Whether a content type is that of a form (RFC 6749 appendix B), parameters aside.
pub(super) fn is_form(content_type: &HeaderValue) -> bool {
    essence(content_type)
        .is_some_and(|essence| essence.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// The type without its parameters, which may hold any bytes.
fn essence(content_type: &HeaderValue) -> Option<&str> {
    let essence = content_type.as_bytes().split(|&byte| byte == b';').next()?;
    str::from_utf8(essence).ok().map(str::trim)
}
