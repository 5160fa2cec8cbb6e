#!/usr/bin/env bash
# Installs what qbench needs and this machine lacks: the servers of the base set (PostgreSQL with pgbench; Valkey or Redis),
# a C compiler, make, Python 3 (for the adapters of outside libraries and their tests).
# Says what it does line by line, asks nothing, and does nothing when nothing is missing. Rust is checked, not installed.
#
#   orchestration/install.sh                    installs
#   orchestration/install.sh --with NAME,…      installs further servers, too; `all`: every server that there is. Two are no servers of queues, and the
#                                               tests have them by --with all,chromium,sshd: chromium reads the page of `qbench report`, sshd (with
#                                               ip) makes hosts out of network namespaces
#   orchestration/install.sh --servers          servers alone, for a host on which qbench is not built
#   orchestration/install.sh --check            only says what is there and what is missing
#
# Exit status: 0 everything is there (now); 1 something is missing and could not be installed; 2 wrong usage.
#
# The servers that the distribution would start and enable on installation stay off: qbench starts its own, private ones.
# Services that were there before are left alone.
#
# What differs by server stands in harness/engines/src/ENGINE/install.sh, the part of that engine. A part defines
#   ENGINE_find       prints what was found; fails when there is nothing that is new enough and complete
#   ENGINE_wanted     says what is needed
#   ENGINE_by_hand    names the package for a machine where this script cannot install
#   ENGINE_packages   optional: names Debian packages with `add_package`; after `ready_apt` it may ask `candidate`, `offers`
#   ENGINE_hold       optional: keeps these packages from doing more than being installed, with `place`
#   ENGINE_fetch      optional: brings what is no package, as the user who runs this, when the packages are there
# in which "$missing" is what was missing. A new part needs no line here.
set -euo pipefail

readonly BASE=(postgres valkey)
readonly TOOLS=(cc make python)
readonly EXTRAS=(chromium sshd)
readonly POLICY=/usr/sbin/policy-rc.d

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly ROOT PARTS=$ROOT/harness/engines/src

say() { printf '%s\n' "install: $*"; }
fail() {
    printf '%s\n' "install: $*" >&2
    exit 1
}
usage() {
    echo "usage: orchestration/install.sh [--check] [--servers] [--with NAME[,NAME…]] (NAME: a server, all for every one, chromium or sshd)" >&2
    exit 2
}

# --- What is there ---------------------------------------------------------------------------------------------------

# The first number of version "$1"; 0 when it has none.
major() {
    local digits=${1%%[!0-9]*}
    printf '%s\n' "${digits:-0}"
}

# A compiler alone is not enough: without the C library's own files nothing can be linked.
cc_find() {
    local dir status=0
    dir=$(mktemp -d)
    printf 'int main(void) { return 0; }\n' >"$dir/main.c"
    cc "$dir/main.c" -o "$dir/main" 2>/dev/null || status=1
    rm -rf "$dir"
    ((status == 0)) && printf '%s\n' "C compiler and linker as $(command -v cc)"
}
cc_wanted() { echo "a C compiler and linker (cc)"; }
cc_by_hand() { echo "build-essential"; }
cc_packages() { add_package build-essential; }

make_find() { command -v make >/dev/null && printf '%s\n' "make as $(command -v make)"; }
make_wanted() { echo "make"; }
make_by_hand() { echo "make"; }
make_packages() { add_package make; }

python_find() { python3 -c '' 2>/dev/null && printf '%s\n' "$(python3 --version) as $(command -v python3)"; }
python_wanted() { echo "Python 3 (python3)"; }
python_by_hand() { echo "python3"; }
python_packages() { add_package python3; }

chromium_find() {
    local program
    program=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || return 1
    printf '%s\n' "$("$program" --version 2>/dev/null | head -n 1 || true) as $program"
}
chromium_wanted() { echo "Chromium (chromium)"; }
chromium_by_hand() { echo "chromium"; }
chromium_packages() { add_package chromium; }

# Both are in folders that an ordinary user's PATH may lack.
sshd_find() {
    local path=$PATH:/usr/sbin:/sbin sshd ip
    sshd=$(PATH=$path command -v sshd) && ip=$(PATH=$path command -v ip) || return 1
    printf '%s\n' "sshd as $sshd and ip as $ip"
}
sshd_wanted() { echo "sshd and ip, for hosts out of network namespaces"; }
sshd_by_hand() { echo "openssh-server and iproute2"; }
sshd_packages() {
    # Where it is a server of this machine already, it stays one.
    installed openssh-server || keep_off ssh
    add_package openssh-server
    add_package iproute2
}

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

# Names of what is looked for, and of what of it is missing, in the same order.
things=() missing=()

look() {
    local thing found
    missing=()
    for thing in "${things[@]}"; do
        if found=$("${thing}_find"); then
            say "present: $found"
        else
            missing+=("$thing")
            say "missing: $("${thing}_wanted")"
        fi
    done
}

# For a machine where nothing can be installed, with the reason "$1".
explain_and_fail() {
    local thing
    say "$1; still needed:"
    for thing in "${missing[@]}"; do
        say "  $("${thing}_wanted"): package $("${thing}_by_hand")"
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
# What apt is to install, and the services of it that are to be off.
packages=() services=()
# What must not outlast the installation.
placed=() placed_dirs=()
apt_is_ready=false

add_package() { packages+=("$1"); }

# keep_off SERVICE: one that comes with a package of this run.
keep_off() { services+=("$1"); }

# place FILE SENTENCE <<<TEXT: says so, and writes the text there until the end of the installation, unless something is there.
# Never at the end of a pipe: what was placed would be forgotten with the pipe's shell.
place() {
    local file=$1 sentence=$2 dir=${1%/*}
    [[ ! -e $file && ! -L $file ]] || return 0
    say "$sentence"
    while [[ ! -d $dir ]]; do
        placed_dirs+=("$dir")
        dir=${dir%/*}
    done
    placed+=("$file")
    "${sudo[@]}" mkdir -p "${file%/*}"
    "${sudo[@]}" tee "$file" >/dev/null
}

# leave FILE: what was placed outlasts the installation.
leave() {
    local file kept=()
    for file in "${placed[@]}"; do
        [[ $file == "$1" ]] || kept+=("$file")
    done
    placed=("${kept[@]}")
}

# Undoes what must not outlast the installation, however it ends.
restore() {
    local file dir
    for file in "${placed[@]}"; do
        "${sudo[@]}" rm -f "$file"
        say "removed $file again"
    done
    for dir in "${placed_dirs[@]}"; do
        [[ ! -d $dir ]] || "${sudo[@]}" rmdir --ignore-fail-on-non-empty "$dir"
    done
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

# Brings apt up to date, once; ends this script where there is no apt or no right to use it.
ready_apt() {
    ! $apt_is_ready || return 0
    command -v apt-get >/dev/null || explain_and_fail "this system has no apt-get, and this script knows no other way to install"
    become_root || explain_and_fail "installing needs root, or sudo"
    say "running apt-get update"
    apt_get update || explain_and_fail "apt-get update failed, see above"
    apt_is_ready=true
}

# Whether this is release "$1" of Debian.
on_debian() {
    # shellcheck source=/dev/null
    [[ $(. /etc/os-release && echo "${ID-} ${VERSION_CODENAME-}") == "debian $1" ]]
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

# each STEP: calls ENGINE_STEP of everything that is missing and has it.
each() {
    local thing
    for thing in "${missing[@]}"; do
        ! declare -F "${thing}_$1" >/dev/null || "${thing}_$1"
    done
}

install_packages() {
    local status=0 service
    ready_apt
    place "$POLICY" "placing $POLICY while packages are installed, so that no service starts" <<'POLICY_TEXT'
#!/bin/sh
# Temporary, by queue-bench's orchestration/install.sh: nothing starts.
exit 101
POLICY_TEXT
    # Ours, or one that was there and is left as it is.
    [[ " ${placed[*]} " != *" $POLICY "* ]] || "${sudo[@]}" chmod 755 "$POLICY"
    each hold
    say "running apt-get install ${packages[*]}"
    apt_get install --no-install-recommends "${packages[@]}" || status=$?
    # Also after a failure half way: what was unpacked until then may have enabled its service.
    for service in "${services[@]}"; do
        disable_service "$service"
    done
    ((status == 0)) || explain_and_fail "apt-get install failed, see above"
}

# --- Main ------------------------------------------------------------------------------------------------------------

# add_part NAME: looks for that server or extra, too; fails where there is none of that name.
add_part() {
    local known
    for known in "${things[@]}"; do
        [[ $known != "$1" ]] || return 0
    done
    if [[ " ${EXTRAS[*]} " == *" $1 "* ]]; then
        things+=("$1")
        return 0
    fi
    [[ -f $PARTS/$1/install.sh ]] || return 1
    # shellcheck source=/dev/null
    source "$PARTS/$1/install.sh"
    things+=("$1")
}

# engines_with_a_part: their names, a line each.
engines_with_a_part() {
    local part
    for part in "$PARTS"/*/install.sh; do
        basename "$(dirname "$part")"
    done
}

check_only=false servers_only=false with=() more=()
while (($# > 0)); do
    case $1 in
    --check) check_only=true ;;
    --servers) servers_only=true ;;
    --with)
        (($# > 1)) || usage
        IFS=, read -ra more <<<"$2"
        with+=("${more[@]}")
        shift
        ;;
    *) usage ;;
    esac
    shift
done

for engine in "${BASE[@]}"; do
    add_part "$engine" || fail "$PARTS/$engine/install.sh is missing"
done
$servers_only || things+=("${TOOLS[@]}")
# The names that were given, each `all` replaced by those of all servers.
wanted=()
for name in "${with[@]}"; do
    if [[ $name == all ]]; then
        readarray -t -O "${#wanted[@]}" wanted < <(engines_with_a_part)
    else
        wanted+=("$name")
    fi
done
for engine in "${wanted[@]}"; do
    add_part "$engine" || {
        say "nothing is known about $engine; there are: $(engines_with_a_part | paste -sd ' ') ${EXTRAS[*]}" >&2
        exit 2
    }
done

rust_is_there=true
look
$servers_only || look_for_rust || rust_is_there=false

if ((${#missing[@]} > 0)); then
    $check_only && explain_and_fail "--check installs nothing"
    trap restore EXIT
    each packages
    ((${#packages[@]} == 0)) || install_packages
    each fetch
    say "looking again"
    look
    ((${#missing[@]} == 0)) || explain_and_fail "the packages were installed, yet something is missing"
fi

$rust_is_there || fail "everything but Rust is there"
say "everything is there"
