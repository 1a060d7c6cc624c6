//! The claims of an access token. Each claim has a type of its own. Reading and writing use the same names.

mod values;

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::{Map, Value};

use super::{Scope, json};

pub use values::{Audience, Audiences, InvalidOpaque, Issuer, NumericDate, Opaque};

/// The claims of an access token (RFC 9068 §2.2).
///
/// A verifier requires `iss`, `sub`, `aud` and `exp`. Any other claim that is absent is `None` or empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// URL of the issuer.
    pub iss: Issuer,
    /// Id of the account, or of the client for a service token.
    pub sub: Opaque,
    /// The resource servers that accept the token.
    pub aud: Audiences,
    /// Expiry. The token is dead at this instant, not one second later.
    pub exp: NumericDate,
    /// The token is not valid before this instant.
    pub nbf: Option<NumericDate>,
    /// Instant of minting.
    pub iat: Option<NumericDate>,
    /// Unique id of the token.
    pub jti: Option<Opaque>,
    /// The client that requested the token.
    pub client_id: Option<Opaque>,
    /// What the token may be used for (RFC 6749 §3.3).
    pub scope: Scope,
    /// Roles of the subject.
    pub roles: Vec<String>,
    /// Email address of the account. Only user tokens have it.
    pub email: Option<String>,
    /// Session of the token. `None` for a service token.
    pub sid: Option<Opaque>,
    /// Instant at which the user last gave credentials.
    pub auth_time: Option<NumericDate>,
    /// `Some(true)` only if the token was minted directly from credentials.
    pub fresh: Option<bool>,
    /// Authentication methods of the user (RFC 8176).
    pub amr: Vec<String>,
    /// CSRF value. Unsafe requests by cookie repeat it in a header. Only tokens delivered by cookie have it.
    pub csrf: Option<String>,
    /// Custom claims: all members that are not listed above.
    pub custom: Map<String, Value>,
}

impl Claims {
    /// Names that a custom claim cannot have.
    pub const RESERVED: [&str; 16] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "client_id",
        "scope",
        "roles",
        "email",
        "sid",
        "auth_time",
        "fresh",
        "amr",
        "csrf",
    ];

    /// Claims with the four required members and nothing else.
    #[must_use]
    pub fn new(iss: Issuer, sub: Opaque, aud: Audiences, exp: NumericDate) -> Self {
        Self {
            iss,
            sub,
            aud,
            exp,
            nbf: None,
            iat: None,
            jti: None,
            client_id: None,
            scope: Scope::default(),
            roles: Vec::new(),
            email: None,
            sid: None,
            auth_time: None,
            fresh: None,
            amr: Vec::new(),
            csrf: None,
            custom: Map::new(),
        }
    }

    /// Whether the subject has `role`.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held == role)
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", &self.iss)?;
        map.serialize_entry("sub", &self.sub)?;
        map.serialize_entry("aud", &self.aud)?;
        map.serialize_entry("exp", &self.exp)?;
        entry(&mut map, "nbf", self.nbf.as_ref())?;
        entry(&mut map, "iat", self.iat.as_ref())?;
        entry(&mut map, "jti", self.jti.as_ref())?;
        entry(&mut map, "client_id", self.client_id.as_ref())?;
        let scope = (!self.scope.is_empty()).then(|| self.scope.to_string());
        entry(&mut map, "scope", scope.as_ref())?;
        entry(&mut map, "roles", Some(&self.roles).filter(|roles| !roles.is_empty()))?;
        entry(&mut map, "email", self.email.as_ref())?;
        entry(&mut map, "sid", self.sid.as_ref())?;
        entry(&mut map, "auth_time", self.auth_time.as_ref())?;
        entry(&mut map, "fresh", self.fresh.as_ref())?;
        entry(&mut map, "amr", Some(&self.amr).filter(|amr| !amr.is_empty()))?;
        entry(&mut map, "csrf", self.csrf.as_ref())?;
        for (name, value) in self.custom.iter().filter(|(name, _)| !Self::RESERVED.contains(&name.as_str())) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn entry<M: SerializeMap, T: Serialize>(map: &mut M, name: &str, value: Option<&T>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, value))
}

/// Claims as they stand in the token, before the check for the four required members.
#[derive(Default)]
pub(crate) struct UnverifiedClaims {
    pub(crate) iss: Option<Issuer>,
    pub(crate) sub: Option<Opaque>,
    pub(crate) aud: Option<Audiences>,
    pub(crate) exp: Option<NumericDate>,
    pub(crate) nbf: Option<NumericDate>,
    pub(crate) iat: Option<NumericDate>,
    pub(crate) jti: Option<Opaque>,
    pub(crate) client_id: Option<Opaque>,
    pub(crate) scope: Option<Scope>,
    pub(crate) roles: Option<Vec<String>>,
    pub(crate) email: Option<String>,
    pub(crate) sid: Option<Opaque>,
    pub(crate) auth_time: Option<NumericDate>,
    pub(crate) fresh: Option<bool>,
    pub(crate) amr: Option<Vec<String>>,
    pub(crate) csrf: Option<String>,
    pub(crate) custom: Map<String, Value>,
}

impl<'de> Deserialize<'de> for UnverifiedClaims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ClaimsVisitor;

        impl<'de> Visitor<'de> for ClaimsVisitor {
            type Value = UnverifiedClaims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<UnverifiedClaims, A::Error> {
                let mut claims = UnverifiedClaims::default();
                while let Some(json::Text(name)) = members.next_key()? {
                    claims.read(name, &mut members)?;
                }
                Ok(claims)
            }
        }

        deserializer.deserialize_map(ClaimsVisitor)
    }
}

impl UnverifiedClaims {
    fn read<'de, A: MapAccess<'de>>(&mut self, name: Cow<'_, str>, members: &mut A) -> Result<(), A::Error> {
        match &*name {
            "iss" => json::set_once(&mut self.iss, members),
            "sub" => json::set_once(&mut self.sub, members),
            "aud" => json::set_once(&mut self.aud, members),
            "exp" => json::set_once(&mut self.exp, members),
            "nbf" => json::set_once(&mut self.nbf, members),
            "iat" => json::set_once(&mut self.iat, members),
            "jti" => json::set_once(&mut self.jti, members),
            "client_id" => json::set_once(&mut self.client_id, members),
            "scope" => json::set_once(&mut self.scope, members),
            "roles" => json::set_once(&mut self.roles, members),
            "email" => json::set_once(&mut self.email, members),
            "sid" => json::set_once(&mut self.sid, members),
            "auth_time" => json::set_once(&mut self.auth_time, members),
            "fresh" => json::set_once(&mut self.fresh, members),
            "amr" => json::set_once(&mut self.amr, members),
            "csrf" => json::set_once(&mut self.csrf, members),
            _ => {
                let json::Strict(value) = members.next_value()?;
                json::insert_once(&mut self.custom, name.into_owned(), value)
            }
        }
    }
}
