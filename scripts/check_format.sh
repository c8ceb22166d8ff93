#!/usr/bin/env bash
# Fail when a C file is not in the form of .clang-format.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh test
git ls-files '*.c' '*.h' | xargs clang-format --dry-run --Werror
