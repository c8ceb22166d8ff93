#!/usr/bin/env bash
# Build with a preset: scripts/build.sh [release|dev|asan|tsan|fuzz] [TARGET...]
# release goes to build/ (the binary is build/huren), the others to build/PRESET.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
cache=scripts/presets/$preset.cmake
[ -f "$cache" ] || {
    echo "build.sh: no preset '$preset'; there are: $(cd scripts/presets && ls | sed 's/.cmake//' | tr '\n' ' ')" >&2
    exit 2
}
out=build
[ "$preset" = release ] || out=build/$preset
cmake -S . -B "$out" -G Ninja -C "$cache" >"/tmp/huren-cmake.$$" 2>&1 || {
    cat "/tmp/huren-cmake.$$" >&2
    rm -f "/tmp/huren-cmake.$$"
    exit 1
}
rm -f "/tmp/huren-cmake.$$"
shift $(($# > 0 ? 1 : 0))
cmake --build "$out" ${1:+--target "$@"}
