//! The decision about an original request, by the rules for its path, the proxy's demand and the caller's token.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

use axum::http::{HeaderMap, Method, Request, StatusCode, request::Parts};

use super::{
    Demand, Identity, OriginalPath, PathError, Rules,
    methods::{self, UnreadableMethod},
    other_path,
    rules::{Admission, Undecided},
};
use crate::{
    http::{ErrorAnswer, Guard, Rejection},
    verify::AuthError,
};

/// The request that a proxy asks about.
#[derive(Clone, Debug)]
pub struct Original {
    /// HTTP method.
    pub method: Method,
    /// Request target as it was sent: path and query.
    pub target: String,
    /// Headers, including the token.
    pub headers: HeaderMap,
}

/// Decides for proxies. Clones share the rules.
#[derive(Clone)]
pub struct ForwardAuth {
    guard: Guard,
    rules: Option<Arc<RwLock<Arc<Rules>>>>,
    trusts: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

/// Why a request is refused for another reason than its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Closed {
    /// Rules exist, but no trusted proxy named the original request.
    #[error("no trusted proxy said what the original request is")]
    NoOriginal,
    /// A header that a framework may read as an identity header.
    #[error("the request has a header in another spelling of an identity header")]
    Alias,
    /// A header names another path, and a framework may act on that.
    #[error("a header of the request names another path")]
    OtherPath,
    /// The request asks for another method that can't be read.
    #[error("{0}")]
    Method(#[from] UnreadableMethod),
    /// The path is invalid.
    #[error("{0}")]
    Path(#[from] PathError),
    /// No rule accepts the request.
    #[error("{0}")]
    Rules(#[from] Undecided),
}

impl ForwardAuth {
    /// Accepts the tokens that `guard` accepts, finds them where it does, and renders refusals as it does. Without
    /// rules every path requires a live token and the proxy's demand. No proxy is trusted.
    #[must_use]
    pub fn new(guard: Guard) -> Self {
        Self { guard, rules: None, trusts: Arc::new(|_| false) }
    }

    /// Applies `rules`. A path without a rule is refused.
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules: Some(Arc::new(RwLock::new(Arc::new(rules)))), ..self }
    }

    /// Applies other rules from now on, in all clones. Requests that are being decided go by the rules before. One that was made
    /// without rules stays without: then nothing happens.
    pub fn replace_rules(&self, rules: Rules) {
        if let Some(held) = &self.rules {
            *held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
        }
    }

    /// Trusts proxies whose address satisfies `trusts`. A trusted proxy may name the original request.
    #[must_use]
    pub fn trusting(self, trusts: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self { trusts: Arc::new(trusts), ..self }
    }

    /// The rules as they are now.
    fn rules(&self) -> Option<Arc<Rules>> {
        let held = self.rules.as_ref()?.read();
        Some(Arc::clone(&held.unwrap_or_else(PoisonError::into_inner)))
    }

    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        (self.trusts)(address.to_canonical())
    }

    /// Decides whether a request is accepted, and returns the caller's identity. `demand` applies in addition to the
    /// rules. A request that asks the service to act by another method (`X-HTTP-Method-Override` and the like) has to be
    /// accepted for both.
    ///
    /// # Errors
    /// The response for the caller. The guard renders it when the token is at fault; otherwise it is this crate's own
    /// error. The reason is logged once.
    pub async fn check(&self, original: &Original, demand: &Demand) -> Result<Identity, Rejection> {
        if self.rules.is_some() && other_path::is_named(&original.headers, &original.target) {
            return Err(Self::close(Closed::OtherPath));
        }
        let methods =
            methods::of(&original.method, &original.headers, &original.target).map_err(Self::close)?;
        let rules = self.rules();
        let admissions = admissions(rules.as_deref(), original, &methods).map_err(Self::close)?;
        let head = original.head(&methods);
        let demands: Vec<_> = admissions.iter().filter_map(|admission| admission.demand()).collect();
        let is_optional = admissions.contains(&&Admission::Optional);
        let verdict = if !demands.is_empty() || demand.asks() || admissions.is_empty() {
            self.live(&head, demands.into_iter().chain([demand])).await
        } else if is_optional {
            let token = self.guard.verify_optional(&head).await;
            token.map(|token| token.map_or(Identity::NOBODY, Identity::of))
        } else {
            Ok(Identity::NOBODY)
        };
        verdict.map_err(|refusal| self.guard.reject(&head, refusal))
    }

    /// Decides about a request whose method and path no trusted proxy named. The method then counts as unsafe, and
    /// rules refuse every such request.
    ///
    /// # Errors
    /// The responses of [`check`](Self::check).
    pub async fn check_unnamed(&self, headers: HeaderMap, demand: &Demand) -> Result<Identity, Rejection> {
        if self.rules.is_some() {
            return Err(Self::close(Closed::NoOriginal));
        }
        // The method is unknown, so it counts as unsafe.
        let original = Original { method: Method::POST, target: "/".to_owned(), headers };
        self.check(&original, demand).await
    }

    /// Answers 403 with one text for all reasons, so that the caller learns nothing about the rules. Proxies pass 401
    /// and 403 to the client. They treat other errors as a failure.
    pub(super) fn close(closed: impl fmt::Display) -> Rejection {
        tracing::info!(reason = %closed, "request refused");
        ErrorAnswer::new(StatusCode::FORBIDDEN, "forbidden", "Nothing is open to you there").into()
    }

    async fn live(
        &self,
        head: &Parts,
        demands: impl Iterator<Item = &Demand>,
    ) -> Result<Identity, AuthError> {
        let token = self.guard.verify(head).await?.ok_or(AuthError::MissingToken)?;
        for demand in demands {
            demand.check(token.claims(), self.guard.now())?;
        }
        Ok(Identity::of(token))
    }
}

/// What the rules require for each of `methods`; nothing without rules.
fn admissions<'a>(
    rules: Option<&'a Rules>,
    original: &Original,
    methods: &[Method],
) -> Result<Vec<&'a Admission>, Closed> {
    let Some(rules) = rules else { return Ok(Vec::new()) };
    let path = OriginalPath::parse(&original.target)?;
    let mut admissions = Vec::new();
    for method in methods {
        admissions.extend(rules.admissions(method.as_str(), &path)?);
    }
    Ok(admissions)
}

impl Original {
    /// The head of the request as the guard sees it: its token locations, and its method for the CSRF check. An unsafe one of
    /// `methods` counts first.
    fn head(&self, methods: &[Method]) -> Parts {
        let request = Request::builder().method(&self.method).uri(self.target.as_str()).body(());
        // An invalid target has no query, and so no token in it.
        let (mut parts, ()) = request.unwrap_or_default().into_parts();
        parts.method.clone_from(methods.iter().find(|method| !method.is_safe()).unwrap_or(&self.method));
        parts.headers.clone_from(&self.headers);
        parts
    }
}

impl fmt::Debug for ForwardAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardAuth")
            .field("guard", &self.guard)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
