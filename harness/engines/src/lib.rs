//! Server products as the harness deals with them: found, started, watched and ended; and pgbench, the background load.
//!
//! Each product has a room, a folder of its own with the same file names in each: `locate` (its programs), `start` (a private
//! server), `process` (which process a given one is), `lock`, `monitor` and `window` (what is read of it during a run), `flag`
//! (its name on the command line). [`engine`] says what everybody else asks of a product. What private servers share is in
//! [`services`], what monitors share in [`monitor`].

pub mod background;
pub mod engine;
pub mod helper;
pub mod keeper;
pub mod monitor;
pub mod observe;
pub mod relay;
pub mod servers;
pub mod services;

pub mod in_process;
pub mod nats;
pub mod postgres;
pub mod sqlite;
pub mod valkey;

use qbench_backends::EngineKind;

use engine::Engine;

/// Every product. The one list of them: whoever asks all of them, or one by its kind, asks here.
pub static ENGINES: &[&dyn Engine] = &[
    &postgres::PostgresEngine,
    &valkey::ValkeyEngine,
    &nats::NatsEngine,
    &sqlite::SqliteEngine,
    &in_process::InProcessEngine,
];

/// The product of this kind.
///
/// # Panics
/// When it has no room here, which a test looks for.
pub fn of(kind: EngineKind) -> &'static dyn Engine {
    let engine = ENGINES.iter().copied().find(|engine| engine.kind() == kind);
    engine.unwrap_or_else(|| panic!("{kind:?} has no room in qbench-engines"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backend_has_a_product_and_no_two_products_share_a_name() {
        for entry in qbench_backends::registry::backends() {
            assert_eq!(of(entry.engine).kind(), entry.engine, "{}", entry.id);
        }
        let flags: Vec<_> = ENGINES.iter().filter_map(|engine| engine.url_flag()).collect();
        for (place, flag) in flags.iter().enumerate() {
            let (name, variable) = (flag.name, flag.variable);
            assert_eq!(flag.flag, format!("--{name}"));
            assert_eq!(variable, format!("QBENCH_{}", name.to_uppercase().replace('-', "_")));
            assert!(flags[..place].iter().all(|other| other.name != name && other.short != flag.short), "{name}");
        }
    }
}
