//! Tests of protected routes, written as another team's service would write them: with the crate's public items only,
//! and without a network.
//!
//! - [`ask`] — sends requests to a router and checks the answers
//! - the other modules — the tests, by subject

#[cfg(test)]
mod allocations;
#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod ask;
mod bodies;
#[cfg(test)]
mod caches;
mod checks;
mod extractors;
mod flask_jwt_extended;
#[cfg(test)]
#[cfg(feature = "watch")]
mod followed_issuers;
mod issuers;
mod layers;
mod locations;
#[cfg(test)]
mod logs;
mod optional;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod profiles;
#[cfg(test)]
mod sentences;
#[cfg(test)]
mod stale;
mod users;
