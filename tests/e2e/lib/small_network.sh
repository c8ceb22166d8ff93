# shellcheck shell=bash
# A network of two hospitals without witnesses and without daemons, for trials on many copies
# of a home: small_network DIR makes DIR/h1 and DIR/h2 (nothing adopted) and DIR/charter/*.charter.
small_network() { # DIR
    local dir=$1 a=$1/charter h kind ports
    mkdir -p "$a"
    ports=($(python3 -c '
import socket
held = [socket.socket() for _ in range(2)]
for s in held: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])'))
    for h in 1 2; do
        "$HUREN" --home "$dir/h$h" init --institution "h$h" --name "Hospital $h" --network "$NET" \
            --listen "tcp://127.0.0.1:${ports[$((h - 1))]}" >/dev/null || return 1
        cp "$dir/h$h/join" "$a/h$h.join"
    done
    "$HUREN" --home "$dir/authority" init --institution authority --name Authority --network "$NET" >/dev/null || return 1
    (
        cd "$a" || exit 1
        "$HUREN" charter keygen li -o li.key || exit 1
        cat >root.yaml <<END
network: $NET
version: 1
valid_days: 365
thresholds: {root: 1, members: 1, quality: 1, policy: 1}
keys:
  - {file: li.key.pub, roles: [root, members, quality, policy]}
END
        cat >members.yaml <<END
network: $NET
version: 1
valid_days: 30
members:
  - {join: h1.join, level: tertiary, grade: A, ownership: public, roles: [hospital]}
  - {join: h2.join, level: secondary, grade: A, ownership: public, roles: [hospital]}
END
        printf 'network: %s\nversion: 1\nvalid_days: 190\ncsv: quality.csv\n' "$NET" >quality.yaml
        printf 'institution,item,organiser,date,passed\nh1,LAB.K,national,%s,yes\n' "$(date -u +%Y)-01-01" >quality.csv
        cat >policy.yaml <<END
network: $NET
version: 1
valid_days: 365
packs:
  - {id: hubei-2023, hash: embedded, in_force_from: 2024-01-01}
settings: {look_back_days: 400, cosign_s: 1, replication: ${HR_REPLICATION:-full}}
END
        for kind in root members quality policy; do
            "$HUREN" --home "$dir/authority" charter build $kind $kind.yaml -o $kind.charter &&
                "$HUREN" --home "$dir/authority" charter sign $kind.charter --key li.key &&
                "$HUREN" --home "$dir/authority" charter adopt $kind.charter || exit 1
        done
    ) >"$a/log" 2>&1 || { cat "$a/log"; return 1; }
}
