//! Drives one backend with one schedule. Knows backends only by their traits.
//!
//! Data flows one way: [`schedule`] gives intended instants, the [`pacer`] releases every job whose instant has passed
//! through the [`gate`], a [`producer`] sends it, a [`worker`] claims it, does its [`work`] and acks it, and the [`ledger`]
//! accounts for every step of every job. [`phases`] runs warm-up, prefill, measured window and drain over them.

pub mod audit;
pub mod backlog;
mod buffer;
pub mod company;
mod crew;
pub mod gate;
pub mod incidents;
pub mod ledger;
pub mod order;
pub mod outcome;
pub mod pacer;
pub mod phases;
pub mod plan;
pub mod producer;
pub mod record;
mod run;
pub mod schedule;
pub mod shards;
pub mod share;
pub mod valve;
pub mod work;
pub mod worker;
