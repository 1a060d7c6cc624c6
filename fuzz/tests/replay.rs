//! Replays the corpus, each input whole and cut short, and the inputs that fuzzing has found.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fuzz::TARGETS;

#[test]
fn no_kept_input_breaks_anything() {
    for (name, target) in TARGETS {
        let inputs = corpus(name);
        assert!(inputs.len() >= 5, "the corpus of {name} is empty");
        for path in inputs {
            let input = fs::read(&path).expect("a readable input");
            println!("{}", path.display());
            target(&input);
            for length in [0, 1, input.len() / 2, input.len().saturating_sub(1)] {
                target(&input[..length.min(input.len())]);
            }
        }
    }
}

#[test]
fn nothing_that_was_found_breaks_anything() {
    for (name, target) in TARGETS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("found").join(name);
        let text = fs::read_to_string(path).expect("what was found");
        assert!(text.lines().count() >= 10, "nothing was found for {name}");
        for line in text.lines() {
            println!("{name} {line}");
            target(&STANDARD.decode(line).expect("base64"));
        }
    }
}

#[test]
fn every_target_has_a_corpus_and_a_driver_and_every_corpus_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(root.join(folder)).expect("the folder");
        let mut names: Vec<_> = entries
            .map(|entry| {
                entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned()
            })
            .collect();
        names.sort_unstable();
        names
    };
    let mut targets: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    targets.sort_unstable();
    assert_eq!(names("corpus"), targets);
    assert_eq!(names("found"), targets);
    assert_eq!(names("libfuzzer/fuzz_targets"), targets);
}

fn corpus(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = fs::read_dir(folder).expect("the corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort_unstable();
    paths
}
