//! Compiles `auth/v1/*.proto` with protox, so that nobody has to install protoc.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=auth");
    let files = protox::compile(["auth/v1/introspection.proto", "auth/v1/revocations.proto"], ["."])?;
    let descriptor = PathBuf::from(env::var("OUT_DIR")?).join("auth.v1.bin");
    fs::write(descriptor, files.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
