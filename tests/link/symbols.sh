#!/usr/bin/env bash
# symbols.sh <shared> <static> <soname> <header>: both libraries define the functions of the header and no
# other global symbol; the shared one has its soname and stays in memory after dlclose.
set -euo pipefail
shared=$1 static=$2 soname=$3 header=$4
failed=0

fail() {
    echo "FAILED: $1" >&2
    failed=1
}

declared=$("${CC:-cc}" -E -P "$header" | grep -oE '\bsimledger_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u)
[ -n "$declared" ] || fail "$header declares nothing"

check_symbols() { # <library> <symbols it defines>
    local difference
    difference=$(diff <(echo "$declared") <(echo "$2")) ||
        fail "$1 differs from $header (< only declared, > only defined):"$'\n'"$difference"
}
check_symbols "$shared" "$(nm -D --defined-only --format=just-symbols "$shared" | sort -u)"
check_symbols "$static" "$(nm -g --defined-only --format=just-symbols "$static" | grep -v -e ':$' -e '^$' | sort -u)"

dynamic=$(readelf -d "$shared")
grep -q "SONAME.*\[$soname\]" <<<"$dynamic" || fail "$shared has not the soname $soname"
grep -q 'FLAGS_1.*NODELETE' <<<"$dynamic" || fail "$shared is not linked with -z nodelete"
[ "$(readlink -f "$(dirname "$shared")/$soname")" = "$(readlink -f "$shared")" ] ||
    fail "$soname does not lead to $shared"

# What Rust's standard library brings, and some archivers cannot read.
if readelf -SW "$static" | grep -qE '\.llvm(bc|cmd)'; then fail "$static has LLVM's sections"; fi

[ $failed = 0 ] && echo "both define the $(wc -l <<<"$declared") functions of the header and nothing else"
exit $failed
