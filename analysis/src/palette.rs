//! Order and colour of backends, as whoever knows them hands them in: this crate has no list of ids of its own.

/// How one backend is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendStyle {
    /// Its id.
    pub id: String,
    /// The kind of server that it needs, as results name it: `postgresql`, `valkey`, …
    pub engine: String,
    /// Its colour in every chart, as red, green and blue; without one it gets one that is free.
    pub colour: Option<[u8; 3]>,
}

/// Every known backend, in the order of tables and charts. Others come after them, alphabetically.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Palette(Vec<BackendStyle>);

impl Palette {
    /// From backends in the order in which they are shown.
    pub fn new(backends: impl IntoIterator<Item = BackendStyle>) -> Self {
        Palette(backends.into_iter().collect())
    }

    /// The style of a backend that is known.
    pub(crate) fn style(&self, backend: &str) -> Option<&BackendStyle> {
        self.0.iter().find(|style| style.id == backend)
    }

    /// Place of a backend; equal for all unknown ones.
    pub(crate) fn backend_rank(&self, backend: &str) -> u32 {
        self.0.iter().position(|style| style.id == backend).unwrap_or(self.0.len()) as u32
    }

    /// Place of the server product that a row of `backend` names: that of the kind of server which the backend needs. Another
    /// product of the same kind, as Redis is to Valkey, comes right after it.
    pub(crate) fn engine_rank(&self, engine: &str, backend: &str) -> u32 {
        let kind = self.style(backend).map_or(engine, |style| &style.engine);
        let place = self.0.iter().position(|style| style.engine == kind).unwrap_or(self.0.len()) as u32;
        2 * place + u32::from(kind != engine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_product_of_a_kind_comes_right_after_it_and_unknown_engines_come_last() {
        let style = |id: &str, engine: &str| BackendStyle { id: id.into(), engine: engine.into(), colour: None };
        let palette = Palette::new([style("rows", "postgresql"), style("streams", "valkey"), style("file", "sqlite")]);
        let mut rows = [
            ("kafka", "external:x"),
            ("sqlite", "file"),
            ("redis", "streams"),
            ("postgresql", "external:y"),
            ("valkey", "streams"),
        ];
        rows.sort_by_key(|(engine, backend)| palette.engine_rank(engine, backend));
        assert_eq!(rows.map(|(engine, _)| engine), ["postgresql", "valkey", "redis", "sqlite", "kafka"]);
    }
}
