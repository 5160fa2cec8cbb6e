//! A matrix on several hosts, over ssh.
//!
//! Reading order: [`mod@file`] (`hosts.toml`: which hosts there are), [`connection`] (a command on one of them), [`probe`] (what a host is and what it
//! lacks), [`prepare`] (this very program there, and what it needs), [`agent`] (what this program does over there, where it is called with
//! `host-agent`), [`parts`] (which host makes which part of a matrix), [`remote`] (one host's part from start to end, however often the connection
//! breaks), [`collect`] (the files come here), [`board`] (what the user sees meanwhile). [`namespaces`] makes hosts of network namespaces, for trying
//! all of it on one machine.
//!
//! The runs themselves know nothing of this: a host makes `qbench matrix` as a person there would.

pub mod agent;
pub mod board;
pub mod collect;
pub mod connection;
pub mod error;
pub mod file;
pub mod namespaces;
pub mod parts;
pub mod prepare;
pub mod probe;
pub mod remote;

pub use connection::Connection;
pub use error::{Error, Result};
pub use file::{Host, Hosts};
pub use namespaces::LocalNamespaces;
pub use parts::Part;
