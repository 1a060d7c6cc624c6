//! Checks that the generated code in the repository matches the contract.
//!
//! `REGENERATE=1 cargo test --package countermark-proto` generates it again.

use std::{env, fs, path::Path};

use prost::Message as _;

const CONTRACT: [&str; 2] = ["auth/v1/introspection.proto", "auth/v1/revocations.proto"];
const ENVOY: [&str; 1] = ["envoy/service/auth/v3/external_auth.proto"];
const FILES: [&str; 3] = ["auth.v1.bin", "auth.v1.rs", "envoy.service.auth.v3.rs"];

#[test]
fn the_generated_code_is_what_the_contract_gives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = tempfile::tempdir().unwrap();
    generate(root, made.path());
    for name in FILES {
        let (new, kept) = (fs::read(made.path().join(name)).unwrap(), root.join("src/generated").join(name));
        if env::var_os("REGENERATE").is_some() {
            fs::write(&kept, &new).unwrap();
        }
        assert!(
            fs::read(&kept).unwrap_or_default() == new,
            "src/generated/{name} is not what the contract gives; run: \
             REGENERATE=1 cargo test --package countermark-proto"
        );
    }
}

/// Compiles the contract with protox, so that protoc need not be installed.
fn generate(root: &Path, out: &Path) {
    let contract = protox::compile(CONTRACT.map(|file| root.join(file)), [root]).unwrap();
    fs::write(out.join("auth.v1.bin"), contract.encode_to_vec()).unwrap();
    tonic_prost_build::configure().out_dir(out).compile_fds(contract).unwrap();
    let envoy = protox::compile(ENVOY.map(|file| root.join(file)), [root]).unwrap();
    tonic_prost_build::configure().out_dir(out).compile_fds(envoy).unwrap();
}
