//! Infrastructure that our binaries share. Each binary adds its own settings, routes and tables.
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | settings from flags, environment and file, as checked values |
//! | [`exit`] | exit codes and error messages of a program |
//! | [`telemetry`] | the log: JSON lines on stderr |
//! | [`listener`] | ports: bind, serve, drain. `connection` supervises each connection, `stream` carries its bytes |
//! | [`tls`] | TLS of a port, reloaded when its files change |
//! | [`client_tls`] | TLS towards another service |
//! | [`http`] | the layers around all routes: request id, log, limits, time-out, CORS, error body |
//! | [`metrics`] | metrics of HTTP requests |
//! | [`openapi`] | routes and their OpenAPI document from one list, and a page for trying the calls |
//! | [`ops`] | the operations port, and the `healthcheck` command that queries it |
//! | [`shutdown`] | stop on SIGTERM and SIGINT |
//! | [`env`](mod@env) | clock and randomness, injected |
//! | [`address`] | the client's address behind proxies |
//! | [`database`] | the embedded database engine: one file, one writer, group commit |

pub mod address;
pub mod client_tls;
mod connection;
pub mod database;
pub mod env;
pub mod exit;
pub mod http;
pub mod limits;
pub mod listener;
pub mod metrics;
pub mod openapi;
pub mod ops;
pub mod settings;
pub mod shutdown;
mod stream;
pub mod telemetry;
pub mod tls;
