#!/usr/bin/env bash
# Goal: a vendor can build against libhuren-policy with pkg-config and libc
# alone, static and shared, and gets what `huren policy decide` says.
# Method: install into an empty folder, build the example there, run it.
set -euo pipefail
huren=$(realpath "$1")
build=$(dirname "$huren")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if nm "$build/libhuren-policy.a" 2>/dev/null | grep -qE '__asan|__tsan|__ubsan'; then
    echo "SKIPPED: the library is built with sanitizers"
    exit 0
fi
cmake --install "$build" --component policy --prefix "$work/usr" >/dev/null
mkdir "$work/data"
"$huren" policy export "$work/data"
export PKG_CONFIG_PATH=$work/usr/lib/pkgconfig
flags=$(pkg-config --cflags --libs huren-policy)
# shellcheck disable=SC2086
cc -std=c17 -Wall -Wextra -Werror -o "$work/shared" tests/policy_example/decide.c $flags
# shellcheck disable=SC2046
cc -std=c17 -o "$work/static" tests/policy_example/decide.c $(pkg-config --cflags huren-policy) \
    "$work/usr/lib/libhuren-policy.a"
for kind in shared static; do
    LD_LIBRARY_PATH=$work/usr/lib "$work/$kind" "$work/data/catalog.txt" "$work/data/hubei-2023.txt" >"$work/$kind.out"
    grep -q '^verdict should' "$work/$kind.out" || { cat "$work/$kind.out"; exit 1; }
done
cmp "$work/shared.out" "$work/static.out"
needed=$(readelf -d "$work/usr/lib/libhuren-policy.so" | grep -oP 'NEEDED.*\[\K[^]]*')
[ "$needed" = libc.so.6 ] || { echo "the shared library needs more than libc: $needed"; exit 1; }
others=$(nm -D --defined-only "$work/usr/lib/libhuren-policy.so" | awk '{print $3}' | grep -v '^hr_' || true)
[ -z "$others" ] || { echo "symbols that are not ours to export: $others"; exit 1; }
# A pack that is damaged is refused with its line.
sed 's/^check\tin_force/check\tin_farce/' "$work/data/hubei-2023.txt" >"$work/bad.txt"
if "$work/static" "$work/data/catalog.txt" "$work/bad.txt" 2>"$work/err"; then
    echo "a damaged pack was taken"
    exit 1
fi
grep -q 'line [0-9]*: check is not one that is known' "$work/err"
echo "library: ok"
