//! The methods by which a service may act on a request. Frameworks take another method than the request's own from a header
//! (Rack, Rails, Symfony, Laravel, ASP.NET, Express) or from a parameter of the query (Symfony, Laravel, Express). The rules
//! must let the request in by each of them.
//!
//! Some frameworks also read a field `_method` of a form, which is in the body. A proxy does not show the body. They do so for
//! POST alone, so a rule for POST has to ask for no less than the rules for PUT, PATCH and DELETE of that path.

use axum::http::{HeaderMap, Method};

use super::alias::folded;

/// The headers, folded.
const HEADERS: [&str; 3] = ["x_http_method_override", "x_http_method", "x_method_override"];

/// The parameter of the query, folded.
const PARAMETER: &str = "_method";

/// A request asks for another method that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request asks for another method that can't be read")]
pub(super) struct UnreadableMethod;

/// The request's own method, the same in upper case, and each other one that it asks for.
pub(super) fn of(
    method: &Method,
    headers: &HeaderMap,
    target: &str,
) -> Result<Vec<Method>, UnreadableMethod> {
    let mut methods = vec![method.clone()];
    // Methods are case-sensitive (RFC 9110 §9.1), but not for every framework.
    add(&mut methods, method.as_str().as_bytes())?;
    let named = headers.iter().filter(|(name, _)| HEADERS.contains(&folded(name.as_str()).as_str()));
    for (_, value) in named {
        add(&mut methods, value.as_bytes())?;
    }
    let query = target.split_once('?').map_or("", |(_, query)| query);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if folded(&name) == PARAMETER {
            add(&mut methods, value.as_bytes())?;
        }
    }
    Ok(methods)
}

fn add(methods: &mut Vec<Method>, asked: &[u8]) -> Result<(), UnreadableMethod> {
    let asked = asked.trim_ascii().to_ascii_uppercase();
    // Frameworks ignore an empty one.
    if asked.is_empty() {
        return Ok(());
    }
    let method = Method::from_bytes(&asked).map_err(|_| UnreadableMethod)?;
    if !methods.contains(&method) {
        methods.push(method);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn methods(headers: &[(&'static str, &str)], target: &str) -> Result<Vec<String>, UnreadableMethod> {
        let headers = headers.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let found = of(&Method::POST, &headers.collect(), target)?;
        Ok(found.iter().map(Method::to_string).collect())
    }

    #[test]
    fn a_header_or_a_parameter_names_another_method_in_each_spelling() {
        for name in [
            "X-HTTP-Method-Override",
            "x-http-method-override",
            "X_HTTP_Method_Override",
            "X-HTTP-Method_Override",
            "X.HTTP.Method.Override",
            "X-HTTP-Method",
            "X_HTTP-Method",
            "X-Method-Override",
            "x_method_override",
        ] {
            for value in ["DELETE", "delete", " Delete "] {
                assert_eq!(
                    methods(&[(name, value)], "/"),
                    Ok(vec!["POST".into(), "DELETE".into()]),
                    "{name}"
                );
            }
            assert_eq!(methods(&[(name, "post")], "/"), Ok(vec!["POST".into()]), "{name}");
            assert_eq!(methods(&[(name, " ")], "/"), Ok(vec!["POST".into()]), "{name}");
            for value in ["DELETE, PUT", "DEL ETE", "\u{e9}"] {
                assert_eq!(methods(&[(name, value)], "/"), Err(UnreadableMethod), "{name}: {value}");
            }
        }
        for query in [
            "_method=DELETE",
            "_method=delete",
            "a=1&_method=Delete&b",
            "%5Fmethod=DELETE",
            ".method=DELETE",
            "%20_method=DELETE",
            "+_method=DELETE",
            "_Method=DELETE",
            "_method=&_method=DELETE",
        ] {
            let found = methods(&[], &format!("/a?{query}"));
            assert_eq!(found, Ok(vec!["POST".into(), "DELETE".into()]), "{query}");
        }
        for target in
            ["/a", "/_method=DELETE", "/a?method=DELETE", "/a?x_method=DELETE", "/a?_method", "/a?x=_method"]
        {
            assert_eq!(methods(&[("x-http", "DELETE")], target), Ok(vec!["POST".into()]), "{target}");
        }
        let lower = of(&Method::from_bytes(b"delete").unwrap(), &HeaderMap::new(), "/");
        assert_eq!(lower.unwrap().iter().map(Method::as_str).collect::<Vec<_>>(), ["delete", "DELETE"]);
        let two = methods(&[("x-http-method", "PUT")], "/a?_method=DELETE&_method=PATCH");
        assert_eq!(two, Ok(["POST", "PUT", "DELETE", "PATCH"].map(String::from).to_vec()));
    }
}
