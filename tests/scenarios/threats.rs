//! `docs/threats.md` names a scenario for each threat, and `docs/protocol.md` one for each history that it survives. Each of them
//! exists.

use std::{collections::BTreeSet, fs, path::Path};

/// Names of all tests in the scenarios, with their module.
fn scenarios() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut names = BTreeSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let Some(module) = path.file_stem().filter(|_| path.extension().is_some_and(|kind| kind == "rs"))
        else {
            continue;
        };
        let text = fs::read_to_string(&path).unwrap();
        for test in text.split("test(flavor = \"multi_thread\")]").chain(text.split("#[test]")).skip(1) {
            let name =
                test.split_once("fn ").and_then(|(_, rest)| rest.split_once('(')).map(|(name, _)| name);
            names.extend(name.map(|name| format!("{}::{name}", module.display())));
        }
    }
    names
}

#[test]
fn every_threat_has_a_scenario_that_exists() {
    assert!(named_on("threats.md", "| ") > 50);
}

#[test]
fn every_history_of_the_protocol_has_a_scenario_that_exists() {
    assert!(named_on("protocol.md", "| history |") >= 10);
}

/// Checks the scenarios in the tables of a page, from the first line that begins with `from`. Returns their number.
fn named_on(page: &str, from: &str) -> usize {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let text = fs::read_to_string(page).unwrap();
    let text = &text[text.find(from).unwrap()..];
    let (scenarios, mut named) = (scenarios(), 0);
    for row in text.lines().filter(|line| line.starts_with("| ") && !line.contains("| scenario |")) {
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let names: Vec<_> = last.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "no scenario: {row}");
        for name in names {
            assert!(scenarios.contains(name), "there is no scenario {name}");
            named += 1;
        }
    }
    named
}
