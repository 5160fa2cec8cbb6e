# shellcheck shell=bash
# Valkey's part of orchestration/install.sh, which sources it and says what a part must define.

readonly VALKEY_MIN=8 REDIS_MIN=7
readonly VALKEY_BACKPORTS=/etc/apt/sources.list.d/qbench-backports.sources

valkey_wanted() { echo "Valkey $VALKEY_MIN or newer (or Redis $REDIS_MIN or newer)"; }

valkey_by_hand() { echo "valkey-server from bookworm-backports on Debian 12, redis-server on Ubuntu 24.04"; }

valkey_find() {
    local program stated version needed
    for program in valkey-server redis-server; do
        stated=$("$program" --version 2>/dev/null) || continue
        version=${stated#* v=}
        case $stated in Valkey*) needed=$VALKEY_MIN ;; *) needed=$REDIS_MIN ;; esac
        if (($(major "$version") >= needed)); then
            printf '%s\n' "${stated%% *} ${version%% *} as $(command -v "$program")"
            return 0
        fi
    done
    return 1
}

valkey_packages() {
    local package
    ready_apt
    if ! offers valkey-server "$VALKEY_MIN" && on_debian bookworm; then
        valkey_add_backports || say "bookworm-backports, which has Valkey, could not be added to apt's sources"
    fi
    if offers valkey-server "$VALKEY_MIN"; then
        package=valkey-server
    elif offers redis-server "$REDIS_MIN"; then
        package=redis-server
        say "apt offers no Valkey $VALKEY_MIN here; redis-server takes its place, and results will name it as redis"
    else
        explain_and_fail "apt offers neither Valkey $VALKEY_MIN nor Redis $REDIS_MIN here"
    fi
    installed "$package" || keep_off "$package"
    add_package "$package"
}

valkey_add_backports() {
    local uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=
    [[ ! -e $VALKEY_BACKPORTS ]] || return 1
    uri=$(valkey_debian_source)
    [[ -n $uri ]] || return 1
    [[ ! -e $keyring ]] || signed="Signed-By: $keyring"
    place "$VALKEY_BACKPORTS" "adding bookworm-backports from this machine's own Debian source, $uri, as $VALKEY_BACKPORTS" <<SOURCES
# Written by queue-bench's orchestration/install.sh for valkey-server.
Types: deb
URIs: $uri
Suites: bookworm-backports
Components: main
$signed
SOURCES
    say "running apt-get update for it"
    apt_get update || return 1
    leave "$VALKEY_BACKPORTS"
}

# Address of the machine's own Debian source, in whatever form and file it is written: apt has read them all.
valkey_debian_source() {
    # shellcheck disable=SC2016 # apt expands these, not the shell
    apt-get indextargets --format '$(CODENAME)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^bookworm|main|//p' | grep -v '^cdrom:' | head -n 1
}
