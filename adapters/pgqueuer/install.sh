#!/usr/bin/env bash
# Installs PgQueuer for `external:pgqueuer`, pinned, into a virtual environment in the user's cache. Needs Python 3.11 or newer.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=../common/cache.sh
source "$here/../common/cache.sh"
target="$cache/pgqueuer-1.6.0"
python="${PYTHON:-python3}"

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "install.sh: $python is older than 3.11; name a newer one with PYTHON=…" >&2
    exit 1
}
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    # Debian and Ubuntu keep these in a package of their own.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -q && apt-get install -y -q python3-venv
    else
        echo "install.sh: $python cannot make virtual environments; on Debian or Ubuntu: sudo apt-get install python3-venv" >&2
        exit 1
    fi
fi
rm -rf "$target"
mkdir -p "$cache"
"$python" -m venv "$target"
"$target/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
# Last, so that half an installation is none.
touch "$target/installed"
echo "PgQueuer $("$target/bin/python" -c 'from importlib.metadata import version; print(version("pgqueuer"))') is in $target"
