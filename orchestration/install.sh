#!/usr/bin/env bash
# Installs what qbench needs and this machine lacks: PostgreSQL with pgbench, Valkey (or Redis), a C compiler,
# make, Python 3 (for the adapters of outside libraries and their tests).
# Says what it does line by line, asks nothing, and does nothing when nothing is missing. Rust is checked, not installed.
#
#   orchestration/install.sh            installs
#   orchestration/install.sh --check    only says what is there and what is missing
#
# Exit status: 0 everything is there (now); 1 something is missing and could not be installed; 2 wrong usage.
#
# The servers that the distribution would start and enable on installation stay off: qbench starts its own, private ones.
# Services that were there before are left alone.
set -euo pipefail

readonly POSTGRES_MIN=15 VALKEY_MIN=8 REDIS_MIN=7
readonly POLICY=/usr/sbin/policy-rc.d
readonly CLUSTER_DIR=/etc/postgresql-common/createcluster.d
readonly CLUSTER_CONF=$CLUSTER_DIR/qbench-install.conf
readonly BACKPORTS=/etc/apt/sources.list.d/qbench-backports.sources

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly ROOT

say() { printf '%s\n' "install: $*"; }
fail() {
    printf '%s\n' "install: $*" >&2
    exit 1
}

# --- What is there ---------------------------------------------------------------------------------------------------

# The first number of version "$1"; 0 when it has none.
major() {
    local digits=${1%%[!0-9]*}
    printf '%s\n' "${digits:-0}"
}

# Directories that may hold a PostgreSQL installation, the same as qbench looks at: PATH with links followed, what
# pg_config says, Debian's own place.
postgres_dirs() {
    local postgres
    while read -r postgres; do
        dirname "$(readlink -f "$postgres")"
    done < <(type -aP postgres || true)
    pg_config --bindir 2>/dev/null || true
    printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV
}

# Prints what was found; false when there is none that is new enough and complete.
find_postgres() {
    local dir version
    while read -r dir; do
        [[ -x $dir/postgres && -x $dir/initdb && -x $dir/pgbench ]] || continue
        version=$("$dir/postgres" --version 2>/dev/null) || continue
        version=${version#*(PostgreSQL) }
        if (($(major "$version") >= POSTGRES_MIN)); then
            printf '%s\n' "PostgreSQL ${version%% *} with pgbench in $dir"
            return 0
        fi
    done < <(postgres_dirs)
    return 1
}

find_valkey() {
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

# A compiler alone is not enough: without the C library's own files nothing can be linked.
find_cc() {
    local dir status=0
    dir=$(mktemp -d)
    printf 'int main(void) { return 0; }\n' >"$dir/main.c"
    cc "$dir/main.c" -o "$dir/main" 2>/dev/null || status=1
    rm -rf "$dir"
    ((status == 0)) && printf '%s\n' "C compiler and linker as $(command -v cc)"
}

find_python() { python3 -c '' 2>/dev/null && printf '%s\n' "$(python3 --version) as $(command -v python3)"; }

find_make() { command -v make >/dev/null && printf '%s\n' "make as $(command -v make)"; }

rust_needed() { sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml"; }

find_rust() {
    local cargo stated version
    cargo=$(command -v cargo || true)
    # rustup's own place, which a shell that was opened before the installation does not have on its PATH.
    [[ -n $cargo ]] || cargo=${HOME-}/.cargo/bin/cargo
    # Asked outside the checkout: a toolchain that is not installed would be downloaded.
    stated=$(cd / && "$cargo" --version 2>/dev/null) || return 1
    version=$(printf '%s\n' "$stated" | cut -d' ' -f2)
    printf '%s\n%s\n' "$(rust_needed)" "${version%%-*}" | sort -VC || return 1
    printf '%s\n' "Rust $version as $cargo"
}

# --- Report ----------------------------------------------------------------------------------------------------------

# Names of what is missing, in the order of this file.
missing=()

look() {
    local found
    missing=()
    for thing in postgres valkey cc make python; do
        if found=$("find_$thing"); then
            say "present: $found"
        else
            missing+=("$thing")
            say "missing: $(wanted "$thing")"
        fi
    done
}

wanted() {
    case $1 in
    postgres) echo "PostgreSQL $POSTGRES_MIN or newer with initdb and pgbench" ;;
    valkey) echo "Valkey $VALKEY_MIN or newer (or Redis $REDIS_MIN or newer)" ;;
    cc) echo "a C compiler and linker (cc)" ;;
    make) echo "make" ;;
    python) echo "Python 3 (python3)" ;;
    esac
}

packages_by_hand() {
    case $1 in
    postgres) echo "postgresql-15 on Debian 12, postgresql-16 on Ubuntu 24.04 (they hold pgbench)" ;;
    valkey) echo "valkey-server from bookworm-backports on Debian 12, redis-server on Ubuntu 24.04" ;;
    cc) echo "build-essential" ;;
    make) echo "make" ;;
    python) echo "python3" ;;
    esac
}

# For a machine where nothing can be installed, with the reason "$1".
explain_and_fail() {
    say "$1; still needed:"
    for thing in "${missing[@]}"; do
        say "  $(wanted "$thing"): package $(packages_by_hand "$thing")"
    done
    exit 1
}

look_for_rust() {
    local found
    if found=$(find_rust); then
        say "present: $found"
    else
        say "missing: Rust $(rust_needed) or newer. Get it with rustup (https://rustup.rs), or update it: rustup update stable"
        return 1
    fi
}

# --- Installation ----------------------------------------------------------------------------------------------------

sudo=()
policy_is_ours=false cluster_conf_is_ours=false cluster_dir_is_ours=false backports_are_unproven=false

# Undoes what must not outlast the installation, however it ends.
restore() {
    if $policy_is_ours; then
        "${sudo[@]}" rm -f "$POLICY"
        say "removed $POLICY again"
    fi
    if $cluster_conf_is_ours; then
        "${sudo[@]}" rm -f "$CLUSTER_CONF"
        say "removed $CLUSTER_CONF again"
    fi
    if $cluster_dir_is_ours; then
        "${sudo[@]}" rmdir --ignore-fail-on-non-empty "$CLUSTER_DIR" "${CLUSTER_DIR%/*}"
    fi
    if $backports_are_unproven; then
        "${sudo[@]}" rm -f "$BACKPORTS"
        say "removed $BACKPORTS again"
    fi
}

become_root() {
    if ((EUID == 0)); then
        return 0
    fi
    command -v sudo >/dev/null || return 1
    # Without a terminal sudo must not need one for its password.
    sudo -n true 2>/dev/null || [[ -t 0 ]] || return 1
    sudo=(sudo)
}

apt_get() {
    # needrestart would restart services that have nothing to do with us.
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# Version that apt would install of package "$1"; nothing when it has none.
candidate() {
    LC_ALL=C apt-cache policy "$1" | sed -n 's/^  Candidate: //p' | grep -v '(none)' || true
}

# Whether apt would install at least major version "$2" of package "$1". An epoch is no part of the version.
offers() {
    local version
    version=$(candidate "$1")
    version=${version#*:}
    [[ -n $version ]] && (($(major "$version") >= $2))
}

# Address of the machine's own Debian source, in whatever form and file it is written: apt has read them all.
own_debian_source() {
    # shellcheck disable=SC2016 # apt expands these, not the shell
    apt-get indextargets --format '$(CODENAME)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
        sed -n 's/^bookworm|main|//p' | grep -v '^cdrom:' | head -n 1
}

add_backports() {
    local uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=
    [[ ! -e $BACKPORTS ]] || return 1
    uri=$(own_debian_source)
    [[ -n $uri ]] || return 1
    [[ ! -e $keyring ]] || signed="Signed-By: $keyring"
    say "adding bookworm-backports from this machine's own Debian source, $uri, as $BACKPORTS"
    backports_are_unproven=true
    "${sudo[@]}" tee "$BACKPORTS" >/dev/null <<SOURCES
# Written by queue-bench's orchestration/install.sh for valkey-server.
Types: deb
URIs: $uri
Suites: bookworm-backports
Components: main
$signed
SOURCES
    say "running apt-get update for it"
    apt_get update || return 1
    backports_are_unproven=false
}

# Keeps the packages' own servers from being started and PostgreSQL's from getting a database of its own.
hold_services() {
    if [[ ! -e $POLICY && ! -L $POLICY ]]; then
        say "placing $POLICY while packages are installed, so that no service starts"
        policy_is_ours=true
        printf '#!/bin/sh\n# Temporary, by queue-bench'"'"'s orchestration/install.sh: nothing starts.\nexit 101\n' |
            "${sudo[@]}" tee "$POLICY" >/dev/null
        "${sudo[@]}" chmod 755 "$POLICY"
    fi
    if [[ ! -e $CLUSTER_CONF ]]; then
        say "placing $CLUSTER_CONF while packages are installed, so that PostgreSQL makes no main cluster"
        [[ -d $CLUSTER_DIR ]] || cluster_dir_is_ours=true
        cluster_conf_is_ours=true
        "${sudo[@]}" mkdir -p "$CLUSTER_DIR"
        echo 'create_main_cluster = false' | "${sudo[@]}" tee "$CLUSTER_CONF" >/dev/null
    fi
}

# Switches service "$1" off, which the package that came with this run has enabled; nothing where it never came so far.
disable_service() {
    [[ -e /etc/init.d/$1 || -e /lib/systemd/system/$1.service ]] || return 0
    if [[ -d /run/systemd/system ]]; then
        "${sudo[@]}" systemctl --quiet stop "$1" || true
    elif [[ -x /etc/init.d/$1 ]]; then
        "${sudo[@]}" "/etc/init.d/$1" stop >/dev/null 2>&1 || true
    fi
    # Both edit files only, so they work where neither of the two is running.
    ! command -v systemctl >/dev/null || "${sudo[@]}" systemctl --quiet disable "$1" || true
    [[ ! -e /etc/init.d/$1 ]] || "${sudo[@]}" update-rc.d "$1" disable || true
    say "service $1 is off; qbench starts its own servers"
}

install_missing() {
    local packages=() services=() thing package
    say "running apt-get update"
    apt_get update || explain_and_fail "apt-get update failed, see above"
    for thing in "${missing[@]}"; do
        case $thing in
        postgres)
            package=$(candidate postgresql)
            package=postgresql-${package%%[+.~-]*}
            offers "$package" "$POSTGRES_MIN" ||
                explain_and_fail "apt offers no PostgreSQL $POSTGRES_MIN here (the PostgreSQL project has an apt repository of its own)"
            installed postgresql-common || services+=(postgresql)
            packages+=("$package")
            ;;
        valkey)
            if ! offers valkey-server "$VALKEY_MIN" && [[ $distribution == debian-bookworm ]]; then
                add_backports || say "bookworm-backports, which has Valkey, could not be added to apt's sources"
            fi
            if offers valkey-server "$VALKEY_MIN"; then
                package=valkey-server
            elif offers redis-server "$REDIS_MIN"; then
                package=redis-server
                say "apt offers no Valkey $VALKEY_MIN here; redis-server takes its place, and results will name it as redis"
            else
                explain_and_fail "apt offers neither Valkey $VALKEY_MIN nor Redis $REDIS_MIN here"
            fi
            installed "$package" || services+=("$package")
            packages+=("$package")
            ;;
        cc) packages+=(build-essential) ;;
        make) packages+=(make) ;;
        python) packages+=(python3) ;;
        esac
    done
    hold_services
    say "running apt-get install ${packages[*]}"
    local status=0
    apt_get install --no-install-recommends "${packages[@]}" || status=$?
    # Also after a failure half way: what was unpacked until then may have enabled its service.
    for thing in "${services[@]}"; do
        disable_service "$thing"
    done
    ((status == 0)) || explain_and_fail "apt-get install failed, see above"
}

# --- Main ------------------------------------------------------------------------------------------------------------

check_only=false
case "$#:${1-}" in
0:) ;;
1:--check) check_only=true ;;
*)
    echo "usage: orchestration/install.sh [--check]" >&2
    exit 2
    ;;
esac

rust_is_there=true
look
look_for_rust || rust_is_there=false

if ((${#missing[@]} > 0)); then
    $check_only && explain_and_fail "--check installs nothing"
    command -v apt-get >/dev/null || explain_and_fail "this system has no apt-get, and this script knows no other way to install"
    become_root || explain_and_fail "installing needs root, or sudo"
    # shellcheck source=/dev/null
    distribution=$(. /etc/os-release && echo "${ID-}-${VERSION_CODENAME-}")
    trap restore EXIT
    install_missing
    say "looking again"
    look
    ((${#missing[@]} == 0)) || explain_and_fail "the packages were installed, yet something is missing"
fi

$rust_is_there || fail "everything but Rust is there"
say "everything is there"
