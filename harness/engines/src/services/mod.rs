//! What all private servers share: started for a run, and gone after it, whatever becomes of the harness.
//!
//! Reading order: [`server`] (what a run asks of a server), [`private_server`] (one of our own: started, awaited, ended),
//! [`private_dir`] (where its data is), then the two mechanisms that keep it from outliving the harness: [`child`] and
//! `guard`. [`given`] is for servers that run already, and [`lock`] keeps a second run away from them; where several generators make one run, [`meeting`] lets them in together. Which programs a product
//! has, how they are started and what its durability class means stands in the product's own room.

pub mod child;
pub mod error;
pub mod given;
mod guard;
pub mod lock;
pub mod meeting;
pub mod page_cache;
pub mod private_dir;
pub mod private_server;
pub mod programs;
pub mod run_as;
pub mod server;

pub use child::{ChildSpec, GuardedChild, spawn_guarded};
pub use error::{Error, Result};
pub use given::GivenServer;
pub use page_cache::drop_page_cache;
pub use private_dir::{DIRECTORY_VARIABLE, data_directory};
pub use private_server::PrivateServer;
pub use programs::Version;
pub use run_as::RunAs;
pub use server::{OwnServer, Server, StartOptions};
