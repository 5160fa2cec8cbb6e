#!/usr/bin/env bash
# The three runs of the Valkey host: valkey_streams x cold, warm, load.
set -euo pipefail

# shellcheck source=host_matrix.sh
source "$(dirname "${BASH_SOURCE[0]}")/host_matrix.sh"

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    cat <<TEXT
usage: run_valkey_tests.sh [FLAG…]

Runs valkey_streams in the scenarios cold, warm and load, with the profile standard (about 15 minutes), into
$root/results/vm2_valkey. The scenario load needs PostgreSQL and pgbench on this host too.

Every flag goes to \`qbench matrix\` and replaces the default of its name:
  --profile quick|standard|paper   size of the runs
  --out DIR                        where the results go
  --resume                         run only what is missing
  --dry-run                        show the runs and the time they take, run nothing
  --valkey-url URL                 use a server that runs already, instead of private ones
\`qbench matrix --help\` lists all of them.
TEXT
    exit 0
fi

host_matrix valkey_streams "$root/results/vm2_valkey" "$@"
