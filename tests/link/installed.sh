#!/usr/bin/env bash
# installed.sh <cmake> <build directory> <source directory>: installs into the current directory and builds
# a user's program in each way that the README shows.
set -euo pipefail
cmake=$1 build=$2 source=$3
here=$(dirname "${BASH_SOURCE[0]}")

"$cmake" --install "$build" --prefix "$PWD/first" >install.log
# Moved after it was installed: nothing in it may know where it was.
mv first prefix
libdir=$(dirname "$(find prefix -name libsimledger.a)")

use() { # <name> <cmake argument>
    echo "== $1"
    "$cmake" -S "$here/consumer" -B "$1" "$2" >"$1.log"
    "$cmake" --build "$1" >>"$1.log"
    "$1/with_shared"
    "$1/with_static"
}
use find_package "-DCMAKE_PREFIX_PATH=$PWD/prefix"
use add_subdirectory "-DSIMLEDGER_SOURCE=$source"

echo "== compiler alone"
cc=${CC:-cc}
"$cc" -Iprefix/include "$here/only_links.c" "$libdir/libsimledger.a" -lpthread -ldl -lm -o with_archive
./with_archive

if command -v pkg-config >/dev/null; then
    echo "== pkg-config"
    export PKG_CONFIG_PATH=$libdir/pkgconfig
    # shellcheck disable=SC2046 # flags are words
    "$cc" "$here/only_links.c" $(pkg-config --cflags --libs simledger) -o with_pkg_config
    LD_LIBRARY_PATH=$libdir ./with_pkg_config
fi
