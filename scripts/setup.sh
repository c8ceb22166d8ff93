#!/usr/bin/env bash
# Install what Huren builds and tests with, from Debian's packages.
# usage: scripts/setup.sh [build|test|bench]...   (default: build test)
# Does nothing, and needs no rights, when all of it is there already.
set -euo pipefail
build="gcc libc6-dev cmake ninja-build pkg-config python3 ccache git protobuf-c-compiler libprotobuf-c-dev
 libsodium-dev libssl-dev liblmdb-dev libnng-dev libyaml-dev libcyaml-dev libjansson-dev libcsv-dev libcmocka-dev"
tests="clang lld libclang-rt-14-dev clang-format procps"
bench="postgresql postgresql-client redis-server redis-tools openssl"
want=()
for set in "${@:-build test}"; do
    for one in $set; do
        case $one in
            build) want+=($build) ;;
            test) want+=($tests) ;;
            bench) want+=($bench) ;;
            *) echo "setup.sh: no set '$one'; there are build, test and bench" >&2; exit 2 ;;
        esac
    done
done
missing=()
for package in "${want[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} = 0 ] && exit 0
run=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "setup.sh: needs root (or sudo) to install: ${missing[*]}" >&2; exit 2; }
    run=(sudo)
fi
echo "installing from Debian: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update >"$log" 2>&1 &&
    "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1 || {
    cat "$log" >&2
    echo "setup.sh: could not install the packages above" >&2
    exit 2
}
