#!/usr/bin/env python3
"""The published formats of a log, checked from their specifications alone: signed notes,
checkpoints, cosignature/v1, tlog-proof, tlog-tiles (C2SP), the tree of RFC 6962.

usage: tlog.py check CHECKPOINT VKEY [WITNESS_VKEY...]      prints size, root, cosigners
       tlog.py prove PROOF VKEY ENTRY INDEX [WITNESS_VKEY...]
       tlog.py tiles DIR VKEY [WITNESS_VKEY...]
Exit 0: holds; 1: it does not, with the reason.
"""
import base64
import hashlib
import os
import re
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ed25519  # noqa: E402


def must(good, why):
    if not good:
        sys.exit(f"tlog.py: {why}")


def b64(text):
    raw = base64.b64decode(text, validate=True)
    must(base64.b64encode(raw).decode() == text, f"not canonical base64: {text}")
    return raw


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(a, b):
    return hashlib.sha256(b"\1" + a + b).digest()


def root_of(hashes):
    """RFC 6962 2.1, as it is written there."""
    n = len(hashes)
    if n == 0:
        return hashlib.sha256(b"").digest()
    if n == 1:
        return hashes[0]
    k = 1
    while k * 2 < n:
        k *= 2
    return node_hash(root_of(hashes[:k]), root_of(hashes[k:]))


def read_vkey(vkey):
    name, key_id, key = vkey.strip().split("+", 2)
    key = b64(key)
    must(len(key) == 33, "a vkey of another length")
    must(hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex() == key_id, "the id of a vkey is wrong")
    return name, bytes.fromhex(key_id), key[0], key[1:]


def read_note(note):
    must(note.endswith(b"\n") and b"\r" not in note, "not a note")
    at = note.rindex(b"\n\n")
    text, lines = note[: at + 1], note[at + 2 :].decode()
    signatures = []
    for line in lines.splitlines():
        m = re.fullmatch("\u2014 ([^ +]+) ([A-Za-z0-9+/=]+)", line)
        must(m, f"a signature line is malformed: {line}")
        raw = b64(m[2])
        signatures.append((m[1], raw[:4], raw[4:]))
    return text, signatures


def check_checkpoint(note, vkey, witnesses):
    text, signatures = read_note(note)
    lines = text.decode().split("\n")
    must(len(lines) == 4 and lines[3] == "", "a checkpoint has three lines")
    must(re.fullmatch("0|[1-9][0-9]*", lines[1]), "the size is not decimal")
    root = b64(lines[2])
    must(len(root) == 32, "the root is not 32 bytes")
    name, key_id, kind, public = read_vkey(vkey)
    must(kind == 1 and name == lines[0], "the vkey is not this log's")
    signed = [s for s in signatures if s[0] == name and s[1] == key_id]
    must(len(signed) == 1 and ed25519.verify(public, text, signed[0][2]), "the log's signature does not hold")
    must(len({(s[0], s[1]) for s in signatures}) == len(signatures), "a signer twice")
    cosigned = []
    for w in witnesses:
        wname, wid, wkind, wpublic = read_vkey(w)
        must(wkind == 4, "not a cosigner's key")
        for s in signatures:
            if s[0] == wname and s[1] == wid:
                when = struct.unpack(">Q", s[2][:8])[0]
                message = b"cosignature/v1\ntime %d\n" % when + text
                must(len(s[2]) == 72 and ed25519.verify(wpublic, message, s[2][8:]), f"{wname}: its cosignature does not hold")
                cosigned.append(wname)
    must(len(cosigned) + 1 == len(signatures), "a signature of somebody unknown")
    return lines[0], int(lines[1]), root, cosigned


def check_inclusion(index, size, leaf, proof, root):
    """RFC 9162 2.1.3.2."""
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while fn and not fn & 1:
                fn >>= 1
                sn >>= 1
        else:
            r = node_hash(r, p)
        fn >>= 1
        sn >>= 1
    return sn == 0 and r == root


def check_proof(data, vkey, entry, index, witnesses):
    head, _, rest = data.partition(b"\n\n")
    lines = head.decode().split("\n")
    must(lines[0] == "c2sp.org/tlog-proof@v1", f"the proof begins with {lines[0]}")
    lines = [line for line in lines[1:] if not line.startswith("extra ")]
    must(lines[0] == f"index {index}", "the index is another")
    hashes = [b64(line) for line in lines[1:]]
    must(all(len(h) == 32 for h in hashes), "a hash of another length")
    _, size, root, cosigned = check_checkpoint(rest, vkey, witnesses)
    must(check_inclusion(index, size, leaf_hash(entry), hashes, root), "the proof does not lead to the root")
    return size, cosigned


def tile_path(level, n, width):
    parts = [f"{n % 1000:03d}"]
    while n >= 1000:
        n //= 1000
        parts.insert(0, f"x{n % 1000:03d}")
    where = "entries" if level < 0 else str(level)
    return f"tile/{where}/" + "/".join(parts) + ("" if width == 256 else f".p/{width}")


def check_tiles(folder, vkey, witnesses):
    with open(os.path.join(folder, "checkpoint"), "rb") as f:
        origin, size, root, cosigned = check_checkpoint(f.read(), vkey, witnesses)
    wanted, entries = {"checkpoint"}, []

    def read(level, n, width):
        path = tile_path(level, n, width)
        wanted.add(path)
        with open(os.path.join(folder, path), "rb") as f:
            return f.read()

    for n in range((size + 255) // 256):
        width = min(256, size - 256 * n)
        bundle, at = read(-1, n, width), 0
        for _ in range(width):
            length = struct.unpack(">H", bundle[at : at + 2])[0]
            entries.append(bundle[at + 2 : at + 2 + length])
            must(len(entries[-1]) == length, "a bundle is short")
            at += 2 + length
        must(at == len(bundle), "a bundle has more bytes than entries")
    hashes, level = [leaf_hash(e) for e in entries], 0
    must(root_of(hashes) == root, "the entries do not hash to the root")
    while hashes:
        for n in range((len(hashes) + 255) // 256):
            part = hashes[256 * n : 256 * n + 256]
            must(read(level, n, len(part)) == b"".join(part), f"tile {level}/{n} differs")
        hashes = [root_of(hashes[i : i + 256]) for i in range(0, len(hashes) // 256 * 256, 256)]
        level += 1
    found = {os.path.relpath(os.path.join(d, f), folder) for d, _, files in os.walk(folder) for f in files}
    must(found == wanted, f"other files than there should be: {sorted(found ^ wanted)}")
    return origin, size, entries, cosigned


def main():
    what, path, vkey = sys.argv[1:4]
    if what == "tiles":
        origin, size, entries, cosigned = check_tiles(path, vkey, sys.argv[4:])
        if os.environ.get("ENTRIES"):
            for i, e in enumerate(entries):
                with open(os.path.join(os.environ["ENTRIES"], str(i)), "wb") as f:
                    f.write(e)
    else:
        with open(path, "rb") as f:
            data = f.read()
        if what == "prove":
            with open(sys.argv[4], "rb") as f:
                entry = f.read()
            size, cosigned = check_proof(data, vkey, entry, int(sys.argv[5]), sys.argv[6:])
        else:
            _, size, _, cosigned = check_checkpoint(data, vkey, sys.argv[4:])
    print(size, len(cosigned), *cosigned)


if __name__ == "__main__":
    main()
