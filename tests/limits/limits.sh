#!/usr/bin/env bash
# limits.sh <program> <table>: counts the instructions and system calls of one call of each kind, in both
# ways of committing, and fails where they grew: instructions by more than 5 %, system calls by one.
# With SIMLEDGER_UPDATE_LIMITS=1 it writes the table anew instead.
#
# Only what the calling thread does inside functions of the library counts, and neither the program around
# them nor the threads of the library. valgrind shows every machine the same processor, as far as it has
# what that processor has; so what libraries choose by it is the same.
set -euo pipefail
shopt -s inherit_errexit
program=$1 table=$2
readonly calls=1024

skip() { echo "skipped: $1" && exit 77; }
valgrind -q --tool=callgrind --callgrind-out-file=/dev/null true >/dev/null 2>&1 || skip "there is no valgrind that works"
strace -o /dev/null true 2>/dev/null || skip "there is no strace that works"

# Instructions of a call: "append_json 1234", a line for each kind. A dump after each kind leaves its own.
instructions() { # <commit>
    rm -f limits.db* callgrind.out*
    valgrind -q --tool=callgrind --callgrind-out-file=callgrind.out --toggle-collect='simledger_*' \
        --dump-after='measure_*' "$program" "$1" $calls >names
    # Before the first kind are the entries that fill memory.
    local dump kind number=2
    for kind in $(uniq names); do
        dump=callgrind.out.$number
        grep -q "dump-after=measure_$kind\$" "$dump" || { echo "limits.sh: $dump is not of $kind" >&2; exit 1; }
        awk -v kind="$kind" -v calls=$calls '/^totals:/ { printf "%s %.0f\n", kind, $2 / calls }' "$dump"
        number=$((number + 1))
    done
}

# System calls of a call, in the same form, with two decimals. Not followed: threads of the library.
system_calls() { # <commit>
    rm -f limits.db* strace.out
    strace -o strace.out "$program" "$1" $calls >/dev/null
    awk -v calls=$calls '
        /^write\(1, "/ {
            split($0, parts, /"|\\n/)
            if (kind != "") { printf "%s %.2f\n", kind, count / calls; kind = "" } else { kind = parts[2] }
            count = 0
            next
        }
        kind != "" && !/^---/ { count++ }' strace.out
}

for commit in log sqlite; do
    # Both in one order, that of the program.
    instructions=$(instructions $commit)
    system_calls=$(system_calls $commit)
    paste -d ' ' <(echo "$instructions") <(echo "$system_calls") | awk -v commit=$commit '
        $1 != $3 { print "limits.sh: the kinds are not the same in both counts" > "/dev/stderr"; exit 1 }
        { printf "%-9s %-13s %11d %13.2f\n", commit, $1, $2, $4 }' >>now
done

if [ "${SIMLEDGER_UPDATE_LIMITS:-}" = 1 ]; then
    { grep '^#' "$table"; cat now; } >anew
    mv anew "$table"
    echo "$table is written anew:" && cat now
    exit
fi

awk -v table="$table" '
    /^#/ || NF == 0 { next }
    FNR == NR { instructions[$1 " " $2] = $3; system_calls[$1 " " $2] = $4; next }
    {
        kind = $1 " " $2
        if (!(kind in instructions)) {
            print kind " has no line in " table; grown = 1; next
        }
        more = 100 * ($3 / instructions[kind] - 1)
        printf "%-21s instructions %7d, were %7d (%+.1f %%); system calls %6.2f, were %6.2f\n",
            kind, $3, instructions[kind], more, $4, system_calls[kind]
        if (more > 5) { print "GROWN: the instructions of " kind; grown = 1 }
        # Once a second the place of the file is looked at, and some calls wake the drain.
        if ($4 - system_calls[kind] > 0.5) { print "GROWN: the system calls of " kind; grown = 1 }
        if (more < -5 || system_calls[kind] - $4 > 0.5) less = 1
    }
    END {
        if (grown) {
            print "\nA call got more expensive. Where that is on purpose, say in the commit why, and write the"
            print "table anew: make limits. Another version of rustc (and with commit = sqlite another C"
            print "compiler, which compiles SQLite) moves the numbers too, all of them by a little."
        } else if (less) {
            print "\nA call got cheaper: make limits writes the table anew, so that it stays so."
        }
        exit grown
    }' "$table" now
