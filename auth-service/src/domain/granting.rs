//! Decides the scopes and audiences of a new token. A request can narrow the limit of its client or of the token that
//! it derives from, and never widen it (RFC 6749 §3.3, RFC 8707 §2.2).

use countermark::verify::{Audience, Audiences, Scope};

use super::{audience::is_built_in, client::Client, registry::Registry};

/// The scopes and audiences that can be granted at most.
#[derive(Clone, Debug)]
pub struct GrantLimit {
    /// The permitted scopes.
    pub scopes: Scope,
    /// The permitted audiences.
    pub audiences: Vec<Audience>,
}

/// The scopes and audiences that a request asks for. If it asks for none, it gets all that are permitted, except the
/// scopes that are built in.
#[derive(Clone, Debug, Default)]
pub struct GrantRequest {
    /// The requested scopes.
    pub scope: Option<Scope>,
    /// The requested resource servers: RFC 8707's `resource` and RFC 8693's `audience`.
    pub resources: Vec<Audience>,
}

impl GrantRequest {
    /// `true` when the request names neither a scope nor a resource server.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.scope.is_none() && self.resources.is_empty()
    }
}

/// The scopes and audiences that are granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The granted scopes.
    pub scope: Scope,
    /// The audiences: the requested resource servers if any were named, otherwise the owners of the granted scopes.
    pub audiences: Audiences,
}

/// The reason why nothing is granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotGranted {
    /// This scope is not permitted: `invalid_scope` (RFC 6749 §5.2).
    #[error("the scope {0} can't be granted here")]
    Scope(String),
    /// No scope was named, and none is granted by default: `invalid_scope` (RFC 6749 §5.2).
    #[error("there is no scope to grant; ask for one by name")]
    Nothing,
    /// This resource is not permitted: `invalid_target` (RFC 8707 §2).
    #[error("no token can be had here for the resource {0}")]
    Resource(String),
}

impl GrantLimit {
    /// The limit of a client that acts for itself.
    #[must_use]
    pub fn of(client: &Client, issuer: &Audience) -> Self {
        let mut audiences = client.audiences.clone();
        if client.scopes.iter().any(is_built_in) && !audiences.contains(issuer) {
            audiences.push(issuer.clone());
        }
        Self { scopes: client.scopes.clone(), audiences }
    }

    /// The intersection of this limit with `scope` and `audiences`.
    #[must_use]
    pub fn and(&self, scope: &Scope, audiences: &Audiences) -> Self {
        Self {
            scopes: self.scopes.filter(|word| scope.contains(word)),
            audiences: self.audiences.iter().filter(|id| audiences.contains(id)).cloned().collect(),
        }
    }

    /// Grants the request `asked` within this limit.
    ///
    /// # Errors
    /// [`NotGranted`] names the first scope or resource that is not permitted.
    pub fn grant(
        &self,
        asked: &GrantRequest,
        registry: &Registry,
        issuer: &Audience,
    ) -> Result<Grant, NotGranted> {
        let is_known = |id: &Audience| id == issuer || registry.has_audience(id);
        let foreign = asked.resources.iter().find(|id| !self.audiences.contains(id) || !is_known(id));
        if let Some(foreign) = foreign {
            return Err(NotGranted::Resource(foreign.to_string()));
        }
        let targets = if asked.resources.is_empty() { &self.audiences } else { &asked.resources };
        let owner = |word: &str| if registry.is_built_in(word) { Some(issuer) } else { registry.owner(word) };
        let is_grantable =
            |word: &str| self.scopes.contains(word) && owner(word).is_some_and(|id| targets.contains(id));
        let scope = match &asked.scope {
            Some(named) => {
                if let Some(word) = named.iter().find(|word| !is_grantable(word)) {
                    return Err(NotGranted::Scope(word.to_owned()));
                }
                named.clone()
            }
            None => self.scopes.filter(|word| !registry.is_built_in(word) && is_grantable(word)),
        };
        let mut audiences = asked.resources.clone();
        if audiences.is_empty() {
            audiences = scope.iter().filter_map(owner).cloned().collect();
        }
        let mut distinct: Vec<Audience> = Vec::with_capacity(audiences.len());
        for id in audiences {
            if !distinct.contains(&id) {
                distinct.push(id);
            }
        }
        Ok(Grant { scope, audiences: Audiences::new(distinct).ok_or(NotGranted::Nothing)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audience::RegisteredAudience;

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    fn registry() -> Registry {
        let audience = |id: &str, scopes: &str| RegisteredAudience {
            id: Audience::new(id),
            scopes: scope(scopes),
            default_scopes: Scope::default(),
        };
        Registry::new(
            vec![audience("a", "a:read a:write"), audience("b", "b:read"), audience("bare", "")],
            vec![],
        )
    }

    /// The granted scopes and audiences, each as a string joined by spaces.
    fn grant(named: Option<&str>, resources: &[&str]) -> Result<(String, String), NotGranted> {
        let most = GrantLimit {
            scopes: scope("introspect a:read b:read c:read"),
            audiences: ["a", "b", "bare", "issuer", "gone"].map(Audience::new).to_vec(),
        };
        let asked = GrantRequest {
            scope: named.map(scope),
            resources: resources.iter().map(|&id| Audience::new(id)).collect(),
        };
        let granted = most.grant(&asked, &registry(), &Audience::new("issuer"))?;
        let audiences: Vec<_> = granted.audiences.iter().map(ToString::to_string).collect();
        Ok((granted.scope.to_string(), audiences.join(" ")))
    }

    #[test]
    fn unasked_everything_is_granted_but_introspection() {
        assert_eq!(grant(None, &[]), Ok(("a:read b:read".to_owned(), "a b".to_owned())));
        assert_eq!(grant(Some("introspect"), &[]), Ok(("introspect".to_owned(), "issuer".to_owned())));
        assert_eq!(
            grant(Some("b:read introspect a:read"), &[]),
            Ok(("b:read introspect a:read".to_owned(), "b issuer a".to_owned()))
        );
    }

    #[test]
    fn what_is_asked_for_narrows() {
        assert_eq!(grant(Some("b:read"), &[]), Ok(("b:read".to_owned(), "b".to_owned())));
        assert_eq!(grant(None, &["a"]), Ok(("a:read".to_owned(), "a".to_owned())));
        assert_eq!(grant(None, &["bare"]), Ok((String::new(), "bare".to_owned())));
        assert_eq!(grant(None, &["b", "a", "b"]), Ok(("a:read b:read".to_owned(), "b a".to_owned())));
    }

    #[test]
    fn and_never_widens() {
        for word in ["a:write", "c:read", "nothing"] {
            assert_eq!(grant(Some(word), &[]), Err(NotGranted::Scope(word.to_owned())));
        }
        assert_eq!(grant(Some("a:read"), &["b"]), Err(NotGranted::Scope("a:read".to_owned())));
        for id in ["c", "gone"] {
            assert_eq!(grant(None, &[id]), Err(NotGranted::Resource(id.to_owned())));
        }
        assert_eq!(grant(Some(""), &[]), Err(NotGranted::Nothing));
    }
}
