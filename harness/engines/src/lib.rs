//! Server products as the harness deals with them: found, started, watched and ended; and pgbench, the background load.

pub mod background;
pub mod monitor;
pub mod services;
