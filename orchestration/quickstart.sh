#!/usr/bin/env bash
# What `make quick` does: installs what is missing, builds, and runs the small comparison. Flags go to `qbench quick`.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# One target directory outside the checkout, the same as in the Makefile and in .ci/run.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/qbench/target}"

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    cat <<TEXT
usage: quickstart.sh [FLAG…]

Installs PostgreSQL and Valkey where they are missing (orchestration/install.sh), builds qbench, and compares four queues
in three scenarios. Every flag goes to \`qbench quick\`; \`--out DIR\` chooses where the results go.
TEXT
    exit 0
fi

if ! command -v cargo >/dev/null; then
    echo "quickstart: cargo is not on PATH: install Rust with rustup, and open a new shell" >&2
    exit 1
fi

"$root/orchestration/install.sh"

SECONDS=0
cargo build --release --locked --bin qbench --manifest-path "$root/Cargo.toml"
build_s=$SECONDS

SECONDS=0
status=0
"$CARGO_TARGET_DIR/release/qbench" quick "$@" || status=$?
echo "build: $((build_s / 60)) min $((build_s % 60)) s; comparison: $((SECONDS / 60)) min $((SECONDS % 60)) s" >&2
exit "$status"
