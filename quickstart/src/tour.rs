//! The tour: a list of requests and expected answers. The printed commands and the check use the same list, so they
//! can't differ.

use std::fmt::Write as _;

use crate::services::{EMAIL, PASSWORD, Services};

/// The service that a step calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Service {
    Auth,
    Resource,
}

/// The body that a step sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    Nothing,
    Json(&'static str),
    Text(&'static str),
}

/// A token that one step receives and other steps present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Variable {
    Token,
    Refresh,
    Refreshed,
    Expired,
    Ended,
}

impl Variable {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Token => "TOKEN",
            Self::Refresh => "REFRESH",
            Self::Refreshed => "REFRESHED",
            Self::Expired => "EXPIRED",
            Self::Ended => "ENDED",
        }
    }
}

/// One request, and its expected answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) title: &'static str,
    pub(crate) service: Service,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// The bearer token of the request.
    pub(crate) bearer: Option<Variable>,
    pub(crate) body: Body,
    pub(crate) status: u16,
    /// Texts that the answer's headers or body must contain.
    pub(crate) holds: &'static [&'static str],
    /// The members of the answer to keep, and the variables for them.
    pub(crate) keep: &'static [(&'static str, Variable)],
}

const STEP: Step = Step {
    title: "",
    service: Service::Resource,
    method: "GET",
    path: "/protected-route",
    bearer: None,
    body: Body::Nothing,
    status: 200,
    holds: &[],
    keep: &[],
};

/// The steps, in order.
pub(crate) const STEPS: &[Step] = &[
    Step {
        title: "Log in: a fresh access token for 15 minutes, and a refresh token",
        service: Service::Auth,
        method: "POST",
        path: "/login",
        body: Body::Json(r#"{"email":"test@example.com","password":"password"}"#),
        holds: &["\"token_type\":\"Bearer\"", "\"expires_in\":900", "cache-control: no-store"],
        keep: &[("access_token", Variable::Token), ("refresh_token", Variable::Refresh)],
        ..STEP
    },
    Step {
        title: "Call a protected route: resource-service verifies the token by itself",
        bearer: Some(Variable::Token),
        holds: &[r#"{"logged_in_as":"test@example.com"}"#],
        ..STEP
    },
    Step {
        title: "Without a token: 401",
        status: 401,
        holds: &["www-authenticate: Bearer realm=", "missing_token"],
        ..STEP
    },
    Step {
        title: "A wrong password: 401, the same for an unknown account",
        service: Service::Auth,
        method: "POST",
        path: "/login",
        body: Body::Json(r#"{"email":"test@example.com","password":"wrong password"}"#),
        status: 401,
        holds: &["Bad email or password"],
        ..STEP
    },
    Step {
        title: "Not JSON: 400",
        service: Service::Auth,
        method: "POST",
        path: "/login",
        body: Body::Text("email=test@example.com"),
        status: 400,
        holds: &["Missing JSON in request"],
        ..STEP
    },
    Step {
        title: "The account that the token belongs to",
        service: Service::Auth,
        path: "/me",
        bearer: Some(Variable::Token),
        holds: &["\"email\":\"test@example.com\"", "\"roles\":[\"admin\"]"],
        ..STEP
    },
    Step {
        title: "A route for fresh tokens only: this one is fresh",
        path: "/fresh",
        bearer: Some(Variable::Token),
        ..STEP
    },
    Step {
        title: "Refresh: the next refresh token, and an access token for five minutes that is not fresh",
        service: Service::Auth,
        method: "POST",
        path: "/refresh",
        bearer: Some(Variable::Refresh),
        holds: &["\"expires_in\":300"],
        keep: &[("access_token", Variable::Refreshed)],
        ..STEP
    },
    Step {
        title: "The route for fresh tokens refuses the refreshed one: log in again (RFC 9470)",
        path: "/fresh",
        bearer: Some(Variable::Refreshed),
        status: 401,
        holds: &["insufficient_user_authentication", "max_age=\"0\""],
        ..STEP
    },
    Step {
        title: "The claims of the token",
        path: "/claims",
        bearer: Some(Variable::Refreshed),
        holds: &["\"fresh\":false", "\"aud\":\"resource-service\""],
        ..STEP
    },
    Step {
        title: "An expired token",
        method: "POST",
        path: "/expired",
        bearer: Some(Variable::Expired),
        status: 401,
        holds: &["The token has expired"],
        ..STEP
    },
    Step {
        title: "Store a document: scope documents:write",
        method: "POST",
        path: "/documents",
        bearer: Some(Variable::Token),
        body: Body::Json(r#"{"title":"Hello","body":"The first one"}"#),
        status: 201,
        holds: &["location: /documents/", "\"title\":\"Hello\""],
        ..STEP
    },
    Step {
        title: "List the caller's own documents: scope documents:read",
        path: "/documents",
        bearer: Some(Variable::Token),
        holds: &["\"items\":[", "The first one"],
        ..STEP
    },
    Step {
        title: "The public keys, for services in any language",
        service: Service::Auth,
        path: "/.well-known/jwks.json",
        holds: &["\"kty\":\"RSA\"", "etag: "],
        ..STEP
    },
    Step {
        title: "Log in on another device",
        service: Service::Auth,
        method: "POST",
        path: "/login",
        body: Body::Json(r#"{"email":"test@example.com","password":"password"}"#),
        keep: &[("access_token", Variable::Ended)],
        ..STEP
    },
    Step {
        title: "Log that device out, and wait until every verifier refuses its tokens",
        service: Service::Auth,
        method: "POST",
        path: "/logout?wait=true",
        bearer: Some(Variable::Ended),
        holds: &[r#""complete":true"#],
        ..STEP
    },
    Step {
        title: "Its access token has not expired, but is refused, without a call to the issuer",
        bearer: Some(Variable::Ended),
        status: 401,
        holds: &["The token has been revoked"],
        ..STEP
    },
];

/// The tour as commands to paste.
pub(crate) fn text(services: &Services) -> String {
    let (auth, resource) = (services.auth, services.resource);
    let mut text = format!(
        "\nCountermark is running.\n\n  auth-service      http://{auth}    (try the calls at http://{auth}/docs)\n\
         \x20 resource-service  http://{resource}\n  gRPC              {grpc}\n  demo account      {EMAIL} / {PASSWORD}\n\n\
         Paste these into another terminal; Ctrl-C here stops both.\n",
        grpc = services.grpc,
    );
    let _ = writeln!(text, "\n# A token that has expired, for later\nEXPIRED='{}'", services.expired_token);
    for step in STEPS {
        let _ = writeln!(text, "\n# {}\n{}", step.title, command(step, services));
    }
    let _ = writeln!(
        text,
        "\n# Ask over gRPC, from any language: see examples/python-introspection\n\
         # client resource-service, its secret in data/quickstart/resource-service.secret"
    );
    text
}

fn command(step: &Step, services: &Services) -> String {
    let url = url(step, services);
    // Some shells expand a question mark.
    let url = if url.contains('?') { format!("'{url}'") } else { url };
    let mut curl = format!("curl -si {url}");
    if step.method == "POST" && !matches!(step.body, Body::Json(_) | Body::Text(_)) {
        curl.push_str(" -X POST");
    }
    if let Some(bearer) = step.bearer {
        let _ = write!(curl, " -H \"Authorization: Bearer ${}\"", bearer.name());
    }
    match step.body {
        Body::Json(body) => {
            let _ = write!(curl, " -H 'Content-Type: application/json' -d '{body}'");
        }
        Body::Text(body) => {
            let _ = write!(curl, " -d '{body}'");
        }
        Body::Nothing => {}
    }
    if step.keep.is_empty() {
        // `echo` ends the line, so that the next output begins on a new one.
        return format!("{curl}; echo");
    }
    let mut lines = vec![format!("ANSWER=$({curl}); echo \"$ANSWER\"")];
    lines.extend(step.keep.iter().map(|(member, variable)| {
        format!(
            "{}=$(echo \"$ANSWER\" | sed -n 's/.*\"{member}\":\"\\([^\"]*\\)\".*/\\1/p')",
            variable.name()
        )
    }));
    lines.join("\n")
}

/// The URL of a step.
pub(crate) fn url(step: &Step, services: &Services) -> String {
    let address = match step.service {
        Service::Auth => services.auth,
        Service::Resource => services.resource,
    };
    format!("http://{address}{}", step.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = include_str!("../../README.md");

    /// Port, method and path of each curl command of the README's tour.
    fn readme_commands() -> Vec<(String, &'static str, String)> {
        let (_, tour) = README.split_once("\n## The tour\n").unwrap();
        let (tour, _) = tour.split_once("\n## ").unwrap();
        tour.replace("\\\n", " ").lines().filter(|line| line.contains("curl -s")).map(read_command).collect()
    }

    fn read_command(line: &str) -> (String, &'static str, String) {
        let (_, url) = line.split_once("http://localhost:").unwrap();
        let (url, _) = url.split_once([' ', '\'']).unwrap_or((url, ""));
        let (port, path) = url.split_once('/').unwrap();
        let method = if line.contains(" -d ") || line.contains(" -X POST") { "POST" } else { "GET" };
        (port.to_owned(), method, format!("/{path}"))
    }

    #[test]
    fn each_command_of_the_readme_is_a_step_that_is_walked() {
        let commands = readme_commands();
        assert_eq!(commands.len(), 8, "{commands:?}");
        for (port, method, path) in commands {
            let is_step = STEPS.iter().any(|step| {
                let step_port = match step.service {
                    Service::Auth => "8080",
                    Service::Resource => "8081",
                };
                (step_port, step.method, step.path) == (port.as_str(), method, path.as_str())
            });
            assert!(is_step, "{method} :{port}{path}");
        }
    }
}
