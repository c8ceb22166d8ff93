#!/usr/bin/env bash
# Does the simulator find bugs?  tests/planted/*.patch are bugs on purpose: each
# names why, and within how many seeds it must be found.
#
#   scripts/planted.sh               every patch, in a scratch copy of the tree
#   scripts/planted.sh NAME...       these
#   scripts/planted.sh --check       only: does each patch still apply?
#   scripts/planted.sh --some N      --check, and N of them, others each day, of
#                                    those that 100 seeds are enough for
#
# Exit 1 if a bug is not found or a patch no longer applies.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$PWD
mode=all
names=()
case ${1:-} in
--check) mode=check ;;
--some)
    mode=some
    some=${2:?planted.sh: --some N}
    ;;
-*)
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
*) names=("$@") ;;
esac
if [ ${#names[@]} -eq 0 ]; then
    for patch in tests/planted/*.patch; do
        names+=("$(basename "$patch" .patch)")
    done
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/huren-planted.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
# What is tracked, as it is here (changes not yet committed included).
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files -z | while IFS= read -r -d '' file; do
        if [ -f "$file" ]; then printf '%s\0' "$file"; fi
    done | tar --null -T - -cf - | tar -xf - -C "$scratch"
else
    tar --exclude=./build --exclude=./.git -cf - . | tar -xf - -C "$scratch"
fi
cd "$scratch"
export CCACHE_BASEDIR=$scratch CCACHE_NOHASHDIR=1 # what was compiled before is found again
git init -q . # so that git apply takes this folder for its root

broken=0
for name in "${names[@]}"; do
    patch=$tree/tests/planted/$name.patch
    if [ ! -f "$patch" ]; then
        echo "planted: there is no $name" >&2
        exit 2
    fi
    if ! git apply -C1 --check "$patch"; then
        echo "planted: $name no longer applies"
        broken=$((broken + 1))
    fi
done
if [ "$mode" = check ] || [ "$broken" -gt 0 ]; then
    echo "planted: ${#names[@]} patches, $broken do not apply"
    exit $((broken > 0))
fi
if [ "$mode" = some ]; then # others each day
    day=$(($(date +%s) / 86400))
    easy=()
    for name in "${names[@]}"; do
        if [ "$(sed -n 's/^seeds: //p' "$tree/tests/planted/$name.patch")" -le 100 ]; then
            easy+=("$name")
        fi
    done
    picked=()
    for ((i = 0; i < some; i++)); do
        picked+=("${easy[$(((day * some + i) % ${#easy[@]}))]}")
    done
    names=("${picked[@]}")
fi

lost=0
started=$SECONDS
for name in "${names[@]}"; do
    patch=$tree/tests/planted/$name.patch
    seeds=$(sed -n 's/^seeds: //p' "$patch")
    why=$(sed -n 's/^why: //p' "$patch")
    git apply -C1 "$patch"
    scripts/build.sh release sim >"$scratch/build.log" 2>&1 || {
        tail -20 "$scratch/build.log"
        echo "planted: $name does not build"
        exit 1
    }
    if SIM_TRACE_DIR=$scratch build/sim --count "$seeds" --until-bad --jobs "$(nproc)" >"$scratch/out" 2>"$scratch/err"; then
        echo "NOT FOUND in $seeds seeds: $name: $why"
        lost=$((lost + 1))
    else
        seed=$(sed -n 's/^bad seed: //p' "$scratch/out" | head -1)
        said=$(grep -m1 -h -o 'is broken: .*\|took too long\|.* is broken: .*' "$scratch/err" || true)
        which=$(sed -n 's/^seed [0-9]*, [a-z]*, at [0-9.]* s: \(.*\) is broken: .*/\1/p' "$scratch/err" | head -1)
        echo "found by seed $seed of $seeds: $name: $why (${which:-ended}${said:+: ${said#*is broken: }})"
    fi
    git apply -C1 -R "$patch"
done
echo "planted: ${#names[@]} bugs, $lost not found, $((SECONDS - started)) s"
exit $((lost > 0))
