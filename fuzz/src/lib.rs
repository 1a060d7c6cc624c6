//! Whatever is read from outside, held against arbitrary input: no input reaches a panic, and what is believed has the
//! properties that the reader promises. One function per kind of input.
//!
//! `corpus/<name>/` holds inputs that are worth trying again: the attacks that the stories know, and whatever once broke
//! something. `found/<name>` has what reached code that nothing else did. `cargo test --package fuzz` replays all of it;
//! `fuzz/run` looks for more, with libFuzzer, from there on.

pub mod form;
pub mod forward_auth;
pub mod grpc;
pub mod jwks;
pub mod settings;
pub mod token;

/// A function that takes any input, and panics when a property is broken.
pub type Target = fn(&[u8]);

/// Every target, by the name that it and its corpus go by.
pub const TARGETS: [(&str, Target); 6] = [
    ("token", token::judge),
    ("jwks", jwks::read),
    ("form", form::read),
    ("settings", settings::read),
    ("grpc", grpc::decode),
    ("forward_auth", forward_auth::decide),
];
