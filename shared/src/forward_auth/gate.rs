//! TrustedIssuers an original request: by the rules for its path, by what the proxy asks on top, and by the token that it bears.

use std::{fmt, net::IpAddr, sync::Arc};

use axum::http::{HeaderMap, Method, Request, StatusCode, request::Parts};

use super::{
    Demand, Identity, OriginalPath, PathError, Rules,
    rules::{Admission, Undecided},
};
use crate::http::{ErrorAnswer, Guard, Refusal, Rejection};

/// The request that a proxy asks about.
#[derive(Clone, Debug)]
pub struct Original {
    /// Its method.
    pub method: Method,
    /// Its target as it was sent: path and query.
    pub target: String,
    /// Its headers, with the token among them.
    pub headers: HeaderMap,
}

/// What answers proxies. Clones share it.
#[derive(Clone)]
pub struct ForwardAuth {
    guard: Guard,
    rules: Option<Arc<Rules>>,
    trusts: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

/// Why a request is not let in, beyond what its token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Closed {
    /// There are rules, and nobody who may say so said what the original request is.
    #[error("no trusted proxy said what the original request is")]
    NoOriginal,
    /// The path is none.
    #[error("{0}")]
    Path(#[from] PathError),
    /// No rule lets anybody in there.
    #[error("{0}")]
    Rules(#[from] Undecided),
}

impl ForwardAuth {
    /// Believes what `guard` believes, finds tokens where it does, and turns them away as it does, by its renderer. Without
    /// rules every path asks for a live token, and for what the proxy asks. No proxy is trusted.
    #[must_use]
    pub fn new(guard: Guard) -> Self {
        Self { guard, rules: None, trusts: Arc::new(|_| false) }
    }

    /// Asks what `rules` ask, and lets nobody in where none is for the path.
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules: Some(Arc::new(rules)), ..self }
    }

    /// Believes the proxies at the addresses that `trusts` holds for true when they say what the original request is.
    #[must_use]
    pub fn trusting(self, trusts: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self { trusts: Arc::new(trusts), ..self }
    }

    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        (self.trusts)(address.to_canonical())
    }

    /// Whether a request with `headers` is let in, and who its caller is. `original` is `None` when nobody said what it
    /// asks for: then its method counts as unsafe, and rules let nobody in. `demand` is asked beside the rules.
    ///
    /// # Errors
    /// What the caller is told: in the guard's own way where its token is at fault, by our contract where the path or the
    /// question is. Why is logged, once.
    pub async fn judge(&self, original: &Original, demand: &Demand) -> Result<Identity, Rejection> {
        let admission = self.admission(original).map_err(Self::close)?;
        let head = original.head();
        let judged = match admission {
            Some(Admission::Public) if !demand.asks() => Ok(Identity::NOBODY),
            Some(Admission::Optional) if !demand.asks() => {
                let token = self.guard.verify(&head).await;
                token.map(|token| token.map_or(Identity::NOBODY, Identity::of))
            }
            Some(Admission::Token(asked)) => self.live(&head, &[asked, demand]).await,
            Some(Admission::Public | Admission::Optional) | None => self.live(&head, &[demand]).await,
        };
        judged.map_err(|refusal| self.guard.reject(&head, refusal))
    }

    /// The same for a request of which nobody says what it asks for.
    ///
    /// # Errors
    /// As [`judge`](Self::judge).
    pub async fn judge_unnamed(&self, headers: HeaderMap, demand: &Demand) -> Result<Identity, Rejection> {
        if self.rules.is_some() {
            return Err(Self::close(Closed::NoOriginal));
        }
        // Whether it is safe is not known.
        let original = Original { method: Method::POST, target: "/".to_owned(), headers };
        self.judge(&original, demand).await
    }

    /// 403 for whatever no rule opens, said alike so that nobody learns the rules. Proxies pass 401 and 403 on, and make
    /// a failure of anything else.
    pub(super) fn close(closed: impl fmt::Display) -> Rejection {
        tracing::info!(reason = %closed, "request refused");
        ErrorAnswer::new(StatusCode::FORBIDDEN, "forbidden", "Nothing is open to you there").into()
    }

    fn admission(&self, original: &Original) -> Result<Option<&Admission>, Closed> {
        let Some(rules) = &self.rules else { return Ok(None) };
        let path = OriginalPath::parse(&original.target)?;
        Ok(Some(rules.admission(original.method.as_str(), &path)?))
    }

    async fn live(&self, head: &Parts, demands: &[&Demand]) -> Result<Identity, Refusal> {
        let token = self.guard.verify(head).await?.ok_or(Refusal::MissingToken)?;
        for demand in demands {
            demand.check(token.claims(), self.guard.now())?;
        }
        Ok(Identity::of(token))
    }
}

impl Original {
    /// The guard sees it as if it had come here: its locations, and its method for CSRF.
    fn head(&self) -> Parts {
        let request = Request::builder().method(&self.method).uri(self.target.as_str()).body(());
        // A target that is none holds no token in its query either.
        let (mut parts, ()) = request.unwrap_or_default().into_parts();
        parts.method.clone_from(&self.method);
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
