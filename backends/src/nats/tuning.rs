//! What `--tuning tuned` sets on a server of ours: nothing.
//!
//! The manual of NATS ("JetStream", "Configuration") has no setting that makes one server store or deliver a stream better without lowering
//! what survives a crash (`sync_interval` does). What it advises is about clusters and limits.

use crate::entry::TunedSetting;

pub(super) const TUNED: &[TunedSetting] = &[];
