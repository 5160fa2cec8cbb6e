# shellcheck shell=sh disable=SC2034 # for the scripts that source it
# Sourced by install scripts: `cache` is where their work goes, the same place that {cache} means in adapter.toml.
cache="${XDG_CACHE_HOME:-$HOME/.cache}/qbench/adapters"
