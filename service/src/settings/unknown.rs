//! Environment variables that look like settings and are none: a typing error there would have no effect, and nobody would know.

use std::env;

use super::{Setting, file_name};

/// For each name of `present` that has the prefix and is no setting: the name, and the setting whose name is nearest.
///
/// What Kubernetes puts into each container for a Service of that name is left out: `AUTH_SERVICE_HOST`, `AUTH_PORT`, and
/// their kind.
pub fn unknown_variables<'a>(
    declared: &'static [Setting],
    prefix: &str,
    present: impl IntoIterator<Item = &'a str>,
) -> Vec<(&'a str, String)> {
    let names = || {
        let of_file =
            declared.iter().filter(|setting| setting.is_secret()).map(|setting| file_name(setting.name));
        declared.iter().map(|setting| setting.name.to_owned()).chain(of_file)
    };
    let is_unknown = |name: &&str| {
        name.starts_with(prefix) && !names().any(|known| known == **name) && !is_of_kubernetes(name)
    };
    let nearest = |name: &str| names().min_by_key(|known| distance(name, known)).unwrap_or_default();
    present.into_iter().filter(is_unknown).map(|name| (name, nearest(name))).collect()
}

/// Warns of the variables of this process that have the prefix and are no setting.
pub fn warn_of_unknown_variables(declared: &'static [Setting], prefix: &str) {
    let present: Vec<String> = env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    for (name, nearest) in unknown_variables(declared, prefix, present.iter().map(String::as_str)) {
        tracing::warn!("{name} is no setting of this program; the nearest one is {nearest}");
    }
}

/// `*_SERVICE_HOST`, `*_SERVICE_PORT*`, `*_PORT`, and `*_PORT_<n>_*`.
fn is_of_kubernetes(name: &str) -> bool {
    let has_port_number = || {
        name.split_once("_PORT_").is_some_and(|(_, rest)| {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            digits > 0 && rest[digits..].starts_with('_')
        })
    };
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || has_port_number()
}

/// How many letters have to be added, taken away or replaced.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, letter) in one.chars().enumerate() {
        let mut before = row[0];
        row[0] = place + 1;
        for (column, theirs) in other.iter().enumerate() {
            let replaced = before + usize::from(letter != *theirs);
            before = row[column + 1];
            row[column + 1] = replaced.min(before + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARED: &[Setting] = &[
        Setting::new("AUTH_HTTP_ADDR", "x", ""),
        Setting::optional("AUTH_ISSUER", ""),
        Setting::optional("AUTH_PEPPER", "").secret(),
    ];

    #[test]
    fn a_mistyped_name_is_found_with_the_nearest_setting_and_what_others_inject_is_not() {
        let names = [
            "AUTH_HTTP_ADDR",
            "AUTH_PEPPER_FILE",
            "AUTH_HTTP_ADR",
            "AUTH_ISUER",
            "AUTH_PEPPER_FILES",
            "HOME",
            "AUTHOR",
            "AUTH_SERVICE_HOST",
            "AUTH_SERVICE_PORT",
            "AUTH_SERVICE_PORT_HTTP",
            "AUTH_PORT",
            "AUTH_PORT_8080_TCP",
            "AUTH_PORT_8080_TCP_ADDR",
            "AUTH_PORT_X_Y",
        ];
        let found = unknown_variables(DECLARED, "AUTH_", names);
        let found: Vec<_> = found.iter().map(|(name, nearest)| (*name, nearest.as_str())).collect();
        assert_eq!(
            found[..3],
            [
                ("AUTH_HTTP_ADR", "AUTH_HTTP_ADDR"),
                ("AUTH_ISUER", "AUTH_ISSUER"),
                ("AUTH_PEPPER_FILES", "AUTH_PEPPER_FILE")
            ]
        );
        assert_eq!(found.len(), 4, "{found:?}");
    }
}
