# shellcheck shell=bash
# Sourced by run_pg_tests.sh and run_valkey_tests.sh: the runs of one host, with defaults that any flag replaces.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# One target directory outside the checkout, the same as in the Makefile and in .ci/run.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/qbench/target}"

# given NAME ARGUMENT…: whether --NAME is among the arguments, as `--NAME value` or `--NAME=value`.
given() {
    local name=$1 argument
    shift
    for argument in "$@"; do
        [[ $argument == "--$name" || $argument == "--$name="* ]] && return 0
    done
    return 1
}

# host_matrix BACKENDS OUT ARGUMENT…: builds qbench, so that what runs is what is checked out, and runs `qbench matrix`.
host_matrix() {
    local backends=$1 out=$2
    shift 2
    local qbench=$CARGO_TARGET_DIR/release/qbench
    cargo build --release --locked --bin qbench --manifest-path "$root/Cargo.toml"
    local defaults=()
    given backends "$@" || defaults+=(--backends "$backends")
    given scenarios "$@" || defaults+=(--scenarios "cold,warm,load")
    given profile "$@" || defaults+=(--profile standard)
    given out "$@" || defaults+=(--out "$out")
    exec "$qbench" matrix "${defaults[@]}" "$@"
}
