//! Routes protected as another team's service protects them: by the crate's public items alone, without a network.
//!
//! - [`ask`] — asks a router, and says what it answered
//! - the rest — what is asked, by subject

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
mod issuers;
mod layers;
mod locations;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod profiles;
#[cfg(test)]
mod stale;
mod users;
