//! What every binary of ours does alike, one noun a file; each binary brings its own settings, routes and tables.
//!
//! | file | holds |
//! |---|---|
//! | [`settings`] | flags, environment and file become checked values, before anything is bound |
//! | [`exit`] | how a start that failed says so |
//! | [`telemetry`] | the log: JSON lines on stderr |
//! | [`listener`] | ports: bound, served, drained; `connection` watches each connection, `stream` carries its bytes |
//! | [`tls`] | certificates for a port, and for its clients, taken up anew when their files change |
//! | [`client_tls`] | the same towards another service |
//! | [`http`] | what every request passes: id, log, limits, time-out, CORS, the error body |
//! | [`metrics`] | what is counted about requests |
//! | [`ops`] | the operations port, and the `healthcheck` that asks it |
//! | [`shutdown`] | signals become a stop |
//! | [`env`] | time and randomness, handed in |
//! | [`address`] | who calls, behind proxies |
//! | [`database`] | the embedded database engine: one file, one writer, commits in groups |

pub mod address;
pub mod client_tls;
mod connection;
pub mod database;
pub mod env;
pub mod exit;
pub mod http;
pub mod listener;
pub mod metrics;
pub mod ops;
pub mod settings;
pub mod shutdown;
mod stream;
pub mod telemetry;
pub mod tls;
