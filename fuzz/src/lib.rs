//! Fuzz targets for all readers of external input, one function for each kind of input. A target checks that no input
//! causes a panic, and that accepted input has the properties that the reader promises.
//!
//! `corpus/<name>/` holds inputs that are worth repeating: the attacks of the scenarios, and inputs that once
//! revealed a defect. `found/<name>` holds inputs that reached new code. `cargo test --package fuzz` replays both.
//! `fuzz/run` searches for more with libFuzzer, starting from them.

pub mod form;
pub mod forward_auth;
pub mod grpc;
pub mod jwks;
pub mod settings;
pub mod token;

/// A function that accepts any input, and panics when a property is violated.
pub type Target = fn(&[u8]);

/// All targets, by name. The corpus of a target has the same name.
pub const TARGETS: [(&str, Target); 6] = [
    ("token", token::verify),
    ("jwks", jwks::read),
    ("form", form::read),
    ("settings", settings::read),
    ("grpc", grpc::decode),
    ("forward_auth", forward_auth::decide),
];
