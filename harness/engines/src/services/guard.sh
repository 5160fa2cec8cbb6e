# Cleans up behind a harness that was killed. Runs in `sh` with the arguments <directory> <program>, in a session of its
# own, with a pipe from the harness as standard input. The lines `add PID START` and `remove PID START` tell it which
# processes run (START is field 22 of /proc/PID/stat: with the pid it names one process for good). The end of the input,
# which comes when the harness has gone in whatever way, makes it act: whatever still runs is killed, then <directory>
# is removed. <directory> may be empty: then there is nothing to remove. <program> is the server whose helper processes
# are looked for in <directory>/data; they are not children of the harness, so nobody reported them.
trap '' HUP INT TERM
directory=$1
program=$2
processes=

while read -r verb pid start; do
    case $verb in
    add) processes="$processes $pid:$start" ;;
    remove)
        kept=
        for process in $processes; do
            [ "$process" = "$pid:$start" ] || kept="$kept $process"
        done
        processes=$kept
        ;;
    esac
done

# True while process $1 that was started at $2 lives. A zombie does not.
lives() {
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    start=$2
    # shellcheck disable=SC2086 # the fields after "pid (name) " are to be split
    set -- ${stat##*) }
    [ "$1" != Z ] && [ "$1" != X ] && [ "${20}" = "$start" ]
}

# Sends signal $1 to everything that is left; true when there was anything.
signal_rest() {
    found=1
    for process in $processes; do
        pid=${process%:*}
        if lives "$pid" "${process#*:}"; then
            kill -s "$1" "$pid" 2>/dev/null
            found=0
        fi
    done
    if [ -n "$program" ] && [ -d "$directory/data" ]; then
        for working in /proc/[0-9]*/cwd; do
            # shellcheck disable=SC3013 # -ef is in POSIX since 2024, and in dash, bash and busybox for decades
            if [ "$working" -ef "$directory/data" ] && [ "${working%/cwd}/exe" -ef "$program" ]; then
                pid=${working%/cwd}
                kill -s "$1" "${pid#/proc/}" 2>/dev/null
                found=0
            fi
        done
    fi
    return $found
}

# The kernel has sent them their death signal already. One that is stopped must be woken to see it.
turn=0
while [ $turn -lt 15 ] && signal_rest CONT; do
    turn=$((turn + 1))
    sleep 0.1
done
turn=0
while [ $turn -lt 50 ] && signal_rest KILL; do
    turn=$((turn + 1))
    sleep 0.1
done

[ -n "$directory" ] || exit 0
# Killed between making the directory and marking it: then it is empty.
[ -f "$directory/.qbench-private" ] || {
    rmdir "$directory" 2>/dev/null
    exit 0
}
# PostgreSQL takes its few bytes of System V shared memory with it, unless it was killed. Line 7 of this file names them.
if [ -f "$directory/data/postmaster.pid" ]; then
    memory=$(sed -n '7s/^ *[0-9]* *\([0-9][0-9]*\) *$/\1/p' "$directory/data/postmaster.pid")
    [ -z "$memory" ] || ipcrm -m "$memory" 2>/dev/null
fi
turn=0
while [ $turn -lt 20 ] && [ -d "$directory" ]; do
    rm -rf "$directory" 2>/dev/null
    [ -d "$directory" ] || exit 0
    turn=$((turn + 1))
    sleep 0.1
done
