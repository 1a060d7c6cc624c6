//! The stories, one file each; their names are sentences. All in one binary, so that it is linked once.

mod access_token;
mod agreement;
mod attacks;
mod bootstrap;
mod clients;
mod cookies;
mod discovery;
mod documents;
mod introspection;
mod jwks;
mod keys;
mod limits;
mod locations;
mod login;
mod me;
mod oauth;
mod operations;
mod operators;
mod process;
mod protected;
mod refresh;
mod register;
mod requests;
mod restart;
mod sessions;
mod theft;
