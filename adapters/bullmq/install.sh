#!/usr/bin/env bash
# Installs BullMQ for `external:bullmq`, pinned by package.json, into the user's cache. Needs Node.js 18 or newer and npm.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=../common/cache.sh
source "$here/../common/cache.sh"
target="$cache/bullmq-6.7.0"

for program in node npm; do
    command -v "$program" >/dev/null || {
        echo "install.sh: $program is missing; on Debian or Ubuntu: sudo apt-get install nodejs npm" >&2
        exit 1
    }
done
rm -rf "$target"
mkdir -p "$target"
cp "$here/package.json" "$target"
# Without optional packages: these are native code that is built or fetched, and BullMQ works without it.
(cd "$target" && npm install --omit=optional --no-package-lock --no-audit --no-fund --loglevel error)
# Last, so that half an installation is none.
touch "$target/installed"
echo "BullMQ $(node -p "require('$target/node_modules/bullmq/package.json').version") is in $target"
