//! Other spellings of header names. CGI, WSGI and Rack put headers into variables: `X-Auth-Roles` becomes `HTTP_X_AUTH_ROLES`.
//! So does `X_Auth_Roles` in most of them. lighttpd makes `_` of each character that is no letter and no digit, and PHP of `.`
//! and of blanks. A service behind them takes `X.Auth.Roles` for ours.

use super::identity::HEADERS;

/// The name as such a variable, without the prefix and in lower case.
pub(super) fn folded(name: &str) -> String {
    let fold = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '_' };
    name.trim().chars().map(fold).collect()
}

/// Whether a framework may take this name for an identity header, though it is spelled otherwise. Case makes no difference to
/// HTTP, and is no other spelling.
pub(super) fn is_alias(name: &str) -> bool {
    let is_ours = |name: &str| HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header.as_str()));
    !is_ours(name) && is_ours(&folded(name).replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_header_has_one_spelling_and_all_others_are_aliases() {
        // All characters that may be in a name (RFC 9110 §5.6.2), other than letters and digits.
        const MARKS: &str = "!#$%&'*+-.^_`|~";
        for header in HEADERS {
            assert!(!is_alias(header.as_str()) && !is_alias(&header.as_str().to_uppercase()));
            let words: Vec<_> = header.as_str().split('-').collect();
            for (first, second) in
                MARKS.chars().flat_map(|first| MARKS.chars().map(move |second| (first, second)))
            {
                let alias = format!("{}{first}{}{second}{}", words[0], words[1], words[2]);
                assert_eq!(is_alias(&alias), (first, second) != ('-', '-'), "{alias}");
                assert_eq!(is_alias(&alias.to_uppercase()), (first, second) != ('-', '-'), "{alias}");
            }
        }
        for alias in
            ["X-Auth-Roles ", " x-auth-roles", "x auth roles", "X-Auth\tRoles", "x\u{2010}auth-roles"]
        {
            assert!(is_alias(alias), "{alias}");
        }
        for other in
            ["x-auth", "x-auth-role", "x-auth-roles-2", "xauth-roles", "x--auth-roles", "authorization", ""]
        {
            assert!(!is_alias(other), "{other}");
        }
    }
}
