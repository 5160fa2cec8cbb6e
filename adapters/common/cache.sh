# Sourced by install scripts: `cache` is where their work goes, the same place that {cache} means in adapter.toml.
cache="${XDG_CACHE_HOME:-$HOME/.cache}/qbench/adapters"
