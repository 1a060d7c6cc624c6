//! Checks the guide for users of Flask-JWT-Extended: every row of its tables names an existing test, or a reason why
//! there is none.

use std::{collections::BTreeSet, fs, path::Path};

const GUIDE: &str = include_str!("../../docs/from-flask-jwt-extended.md");
const FACTS: &str = include_str!("../../docs/flask-jwt-extended-facts.md");

/// Folders that contain test modules.
const PLACES: [&str; 6] = [
    "tests/protect",
    "../tests/scenarios",
    "src/verify",
    "src/issuer",
    "../resource-service/src",
    "../auth-service/src/config",
];

/// The cells of each table row, without the head.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| "));
    let rows = lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
    rows.filter(|row| !matches!(row[0], "there" | "no.")).collect()
}

/// Whether the test `module::name` exists.
fn exists(test: &str) -> bool {
    let Some((module, name)) = test.split_once("::") else { return false };
    let files = [format!("{module}.rs"), format!("{module}/tests.rs")];
    PLACES.iter().flat_map(|place| files.iter().map(move |file| Path::new(place).join(file))).any(|file| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        fs::read_to_string(path).is_ok_and(|source| source.contains(&format!("fn {name}()")))
    })
}

/// Counts the rows with a test, and the rows with only a reason. A row with neither fails.
fn count(rows: &[Vec<&str>]) -> (usize, usize) {
    let (mut shown, mut explained) = (0, 0);
    for row in rows {
        let cells = &row[1..];
        let tests = cells.last().unwrap().split('`').skip(1).step_by(2).filter(|code| code.contains("::"));
        let tests: Vec<_> = tests.collect();
        for test in &tests {
            assert!(exists(test), "no such test: {test}, in {row:?}");
        }
        let reason = cells.iter().any(|cell| cell.contains("— ") && cell.chars().count() > 6);
        assert!(reason || !tests.is_empty(), "neither a test nor a reason: {row:?}");
        if tests.is_empty() { explained += 1 } else { shown += 1 }
    }
    (shown, explained)
}

#[test]
fn every_function_and_option_has_a_counterpart_that_is_tested_or_a_reason() {
    let rows = rows(GUIDE);
    let names: BTreeSet<_> = rows.iter().map(|row| row[0]).collect();
    assert_eq!((rows.len(), names.len()), (100, 100), "each once");
    assert_eq!(count(&rows), (96, 4));
}

#[test]
fn every_error_and_behaviour_is_tested_or_explained() {
    let rows = rows(FACTS);
    let numbers: Vec<_> = rows.iter().map(|row| row[0].to_owned()).collect();
    let expected =
        (1..=54).map(|number| format!("E{number}")).chain((1..=160).map(|number| number.to_string()));
    assert_eq!(numbers, expected.collect::<Vec<_>>());
    assert_eq!(count(&rows), (198, 16));
}
