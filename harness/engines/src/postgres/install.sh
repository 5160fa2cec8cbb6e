# shellcheck shell=bash
# PostgreSQL's part of orchestration/install.sh, which sources it and says what a part must define.

readonly POSTGRES_MIN=15

postgres_wanted() { echo "PostgreSQL $POSTGRES_MIN or newer with initdb and pgbench"; }

postgres_by_hand() { echo "postgresql-15 on Debian 12, postgresql-16 on Ubuntu 24.04 (they hold pgbench)"; }

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

postgres_find() {
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

postgres_packages() {
    local package
    ready_apt
    package=$(candidate postgresql)
    package=postgresql-${package%%[+.~-]*}
    offers "$package" "$POSTGRES_MIN" ||
        explain_and_fail "apt offers no PostgreSQL $POSTGRES_MIN here (the PostgreSQL project has an apt repository of its own)"
    installed postgresql-common || keep_off postgresql
    add_package "$package"
}

# Keeps the packages from making a database of their own.
postgres_hold() {
    local file=/etc/postgresql-common/createcluster.d/qbench-install.conf
    place "$file" "placing $file while packages are installed, so that PostgreSQL makes no main cluster" \
        <<<'create_main_cluster = false'
}
