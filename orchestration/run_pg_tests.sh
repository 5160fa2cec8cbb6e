#!/usr/bin/env bash
# The nine runs of the PostgreSQL host: skip_locked, delete_returning, partitioned x cold, warm, load.
set -euo pipefail

# shellcheck source=host_matrix.sh
source "$(dirname "${BASH_SOURCE[0]}")/host_matrix.sh"

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    cat <<TEXT
usage: run_pg_tests.sh [FLAG…]

Runs skip_locked, delete_returning and partitioned in the scenarios cold, warm and load, with the profile standard
(about 35 minutes), into $root/results/vm1_pg.

Every flag goes to \`qbench matrix\` and replaces the default of its name:
  --profile quick|standard|paper   size of the runs
  --out DIR                        where the results go
  --resume                         run only what is missing
  --dry-run                        show the runs and the time they take, run nothing
  --pg-url URL                     use a server that runs already, instead of private ones
\`qbench matrix --help\` lists all of them.
TEXT
    exit 0
fi

host_matrix skip_locked,delete_returning,partitioned "$root/results/vm1_pg" "$@"
