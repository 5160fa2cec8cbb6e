//! Order and colour of backends for tables and charts, from the registry.

use qbench_analysis::{BackendStyle, Palette};
use qbench_backends::registry::backends;

/// Every backend of the registry, as tables and charts show it.
pub fn palette() -> Palette {
    Palette::new(backends().map(|entry| BackendStyle {
        id: entry.id.to_owned(),
        engine: entry.engine.id.to_owned(),
        colour: entry.colour,
    }))
}
