//! Compiles the `.proto` files with protox, so that nobody has to install protoc.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=auth");
    println!("cargo::rerun-if-changed=envoy");
    let files = protox::compile(["auth/v1/introspection.proto", "auth/v1/revocations.proto"], ["."])?;
    let descriptor = PathBuf::from(env::var("OUT_DIR")?).join("auth.v1.bin");
    fs::write(descriptor, files.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(files)?;
    if env::var_os("CARGO_FEATURE_ENVOY").is_some() {
        let files = protox::compile(["envoy/service/auth/v3/external_auth.proto"], ["."])?;
        tonic_prost_build::configure().compile_fds(files)?;
    }
    Ok(())
}
