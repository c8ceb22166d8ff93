#!/usr/bin/env python3
"""Second implementation of the formats of DESIGN section 5, for test vectors.

Written from the formulas alone, in plain Python: hashlib for BLAKE2b and
SHA-256, the rest (X25519, Ed25519, ChaCha20-Poly1305) below, from RFC 7748,
8032, 8439 and draft-irtf-cfrg-xchacha.  It shares no code with crypto/.
Slow and not constant time: for vectors only.

    python3 tests/vectors/make_vectors.py            write the files beside it
    python3 tests/vectors/make_vectors.py --check    fail if they would change
"""
import base64
import datetime
import hashlib
import json
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent


# ---- primitives ------------------------------------------------------------
def blake2b(size, data, key=b""):
    return hashlib.blake2b(data, digest_size=size, key=key).digest()


def kdf(master, number, context):
    """libsodium's crypto_kdf: BLAKE2b with the number as salt."""
    return hashlib.blake2b(b"", digest_size=32, key=master, salt=struct.pack("<QQ", number, 0),
                           person=context.ljust(16, b"\0")).digest()


def sha256(data):
    return hashlib.sha256(data).digest()


P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493


def x25519(scalar, u):
    k = int.from_bytes(scalar, "little") & ~7 & (2**254 - 1) | 2**254
    x1 = int.from_bytes(u, "little") & (2**255 - 1)
    x2, z2, x3, z3 = 1, 0, x1, 1
    for t in reversed(range(255)):
        bit = k >> t & 1
        if bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a, c * b, a * a, b * b
        x3, z3 = (da + cb)**2 % P, x1 * (da - cb)**2 % P
        x2, z2 = aa * bb % P, (aa - bb) * (aa + 121665 * (aa - bb)) % P
        if bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


D = -121665 * pow(121666, P - 2, P) % P


def ed_add(p, q):
    (x1, y1), (x2, y2) = p, q
    t = D * x1 * x2 * y1 * y2
    return ((x1 * y2 + x2 * y1) * pow(1 + t, P - 2, P) % P,
            (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P) % P)


def ed_times(n, point):
    out = (0, 1)
    while n:
        if n & 1:
            out = ed_add(out, point)
        point = ed_add(point, point)
        n >>= 1
    return out


def ed_base():
    y = 4 * pow(5, P - 2, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (P - x if x & 1 else x, y)


BASE = ed_base()


def ed_encode(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def ed_expand(seed):
    h = hashlib.sha512(seed).digest()
    return int.from_bytes(h[:32], "little") & ~7 & (2**254 - 1) | 2**254, h[32:]


def ed_public(seed):
    return ed_encode(ed_times(ed_expand(seed)[0], BASE))


def ed_sign(seed, message):
    a, prefix = ed_expand(seed)
    r = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % L
    big_r = ed_encode(ed_times(r, BASE))
    k = int.from_bytes(hashlib.sha512(big_r + ed_public(seed) + message).digest(), "little") % L
    return big_r + ((r + k * a) % L).to_bytes(32, "little")


def rotate(v, n):
    return (v << n | v >> (32 - n)) & 0xffffffff


def chacha_rounds(s):
    def quarter(a, b, c, d):
        for shift_d, shift_b in ((16, 12), (8, 7)):
            s[a] = (s[a] + s[b]) & 0xffffffff
            s[d] = rotate(s[d] ^ s[a], shift_d)
            s[c] = (s[c] + s[d]) & 0xffffffff
            s[b] = rotate(s[b] ^ s[c], shift_b)
    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)


SIGMA = struct.unpack("<4I", b"expand 32-byte k")


def chacha_block(key, counter, nonce):
    start = [*SIGMA, *struct.unpack("<8I", key), counter, *struct.unpack("<3I", nonce)]
    s = list(start)
    chacha_rounds(s)
    return struct.pack("<16I", *((x + y) & 0xffffffff for x, y in zip(s, start)))


def hchacha(key, nonce):
    s = [*SIGMA, *struct.unpack("<8I", key), *struct.unpack("<4I", nonce)]
    chacha_rounds(s)
    return struct.pack("<8I", *s[:4], *s[12:])


def poly1305(key, data):
    r = int.from_bytes(key[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    acc = 0
    for i in range(0, len(data), 16):
        acc = (acc + int.from_bytes(data[i:i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((acc + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def pad16(data):
    return data + bytes(-len(data) % 16)


def xchacha_seal(key, nonce, ad, plain):
    key, nonce = hchacha(key, nonce[:16]), bytes(4) + nonce[16:]
    stream = b"".join(chacha_block(key, 1 + i, nonce) for i in range(len(plain) // 64 + 1))
    cipher = bytes(a ^ b for a, b in zip(plain, stream))
    tag = poly1305(chacha_block(key, 0, nonce)[:32],
                   pad16(ad) + pad16(cipher) + struct.pack("<QQ", len(ad), len(cipher)))
    return cipher + tag


# ---- the formats -----------------------------------------------------------
def node_keys(seed, network):
    master = blake2b(32, b"huren network v1" + network, seed)
    secret = {role: kdf(master, i + 1, b"hurenkey")
              for i, role in enumerate(("log", "witness", "statement", "session", "box"))}
    public = {role: ed_public(s) if role in ("log", "witness", "statement")
              else x25519(s, (9).to_bytes(32, "little")) for role, s in secret.items()}
    return secret, public


def network_key_check(network, epoch, key):
    return blake2b(16, b"huren network key v1" + network + struct.pack(">I", epoch) + key)


def patient_keys(network_key, kind, value):
    patient = blake2b(32, b"huren patient v1" + kind + b"\0" + value, network_key)
    return [kdf(patient, i, b"hurenpat") for i in (1, 2, 3)]


def token(token_key, quarter):
    return blake2b(16, b"huren token v1" + quarter, token_key)


def record(report, record_key, network, institution):
    r = blake2b(16, b"huren salt v1" + report, record_key)
    k = blake2b(32, b"huren record v1" + r, record_key)
    head = b"\1" + r + blake2b(32, b"huren commit v1" + k)
    padded = report + b"\x80"
    padded += bytes(-len(padded) % 256)
    return k, head + xchacha_seal(k, bytes(24), head + network + b"\0" + institution, padded)


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def brief(day, status, numbers):
    body, last, more = b"", 0, 0
    for number in sorted(set(numbers)):
        step = varint(number - last)
        if len(body) + len(step) > 33:
            more = 128
            break
        body, last = body + step, number
    return (struct.pack(">HB", day, status | more) + body).ljust(36, b"\0")


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def publish(tok, epoch, sealed, brief_bytes):
    inner = field(1, tok) + varint(2 << 3) + varint(epoch) + field(3, sealed)
    return field(1, inner + (field(4, brief_bytes) if brief_bytes else b""))


def brief_sealed(plain, brief_key, origin, entry):
    return xchacha_seal(brief_key, sha256(b"huren brief v1" + origin + b"\0" + entry)[:24],
                        entry, plain)


def b64(data):
    return base64.b64encode(data).decode()


def join_file(seed, network, institution, name, addresses):
    secret, public = node_keys(seed, network.encode())
    lines = ["huren join v1", "institution " + institution, "network " + network]
    lines += [role + " " + b64(public[role]) for role in public]
    lines += (["name " + name] if name else []) + ["address " + a for a in addresses]
    text = "".join(line + "\n" for line in lines)
    note = text + "\n"
    for role in ("log", "witness", "statement"):
        signer = f"{network}/{institution}/{role}"
        key_id = sha256(signer.encode() + b"\n\1" + public[role])[:4]
        note += f"\u2014 {signer} {b64(key_id + ed_sign(secret[role], text.encode()))}\n"
    return note


def key_file(kind, name, secret):
    text = f"huren {kind} v1\nname {name}\nsecret {b64(secret)}\n"
    return text + f"check {b64(blake2b(16, text.encode()))}\n"


# ---- the cases -------------------------------------------------------------
def drawn(label, count=32):
    return hashlib.shake_256(b"vector " + label.encode()).digest(count)


NETWORKS = ["yx-county.hb.cn", "a", "x" * 64]


def keys_cases():
    for i in range(3):
        for network in NETWORKS:
            seed = drawn(f"seed {i}")
            secret, public = node_keys(seed, network.encode())
            yield {"seed": seed.hex(), "network": network,
                   "secret": {r: s.hex() for r, s in secret.items()},
                   "public": {r: p.hex() for r, p in public.items()}}


def network_key_cases():
    for epoch in (1, 2, 255, 256, 65536, 2**32 - 1):
        for network in NETWORKS:
            key = drawn(f"network key {epoch}")
            yield {"network": network, "epoch": epoch, "key": key.hex(),
                   "check": network_key_check(network.encode(), epoch, key).hex()}


def token_cases():
    people = [("RI", "11010519491231002X"), ("PP", "CHN-E12345678"), ("HM", "H1234567890"), ("RI", "1"),
              ("RI", "9" * 64)]
    days = ["1970-01-01", "1970-03-31", "1970-04-01", "2000-02-29", "2024-03-31", "2024-04-01",
            "2024-12-31", "2025-01-01", "2025-06-30", "2025-07-01", "2025-09-30", "2025-10-01",
            "2100-03-31", "2100-04-01", "2149-06-06"]
    for n, (kind, value) in enumerate(people):
        keys = patient_keys(drawn(f"network key {n + 1}"), kind.encode(), value.encode())
        rows = []
        for text in days:
            day = datetime.date.fromisoformat(text)
            quarter = f"{day.year}Q{(day.month + 2) // 3}"
            rows.append({"day": (day - datetime.date(1970, 1, 1)).days, "quarter": quarter,
                         "token": token(keys[0], quarter.encode()).hex()})
        yield {"network_key": drawn(f"network key {n + 1}").hex(), "epoch": n + 1, "type": kind,
               "value": value, "token_key": keys[0].hex(), "brief_key": keys[1].hex(),
               "record_key": keys[2].hex(), "tokens": rows}


def record_cases():
    for size in (0, 1, 15, 16, 17, 63, 64, 255, 256, 257, 400, 511, 512, 1000):
        report, record_key = drawn(f"report {size}", size), drawn(f"record key {size % 3}")
        network, institution = NETWORKS[size % 3], ["h001", "420581-yx", "y" * 64][size % 3]
        k, sealed = record(report, record_key, network.encode(), institution.encode())
        yield {"report": report.hex(), "record_key": record_key.hex(), "network": network,
               "institution": institution, "k": k.hex(), "record": sealed.hex(),
               "sealed": sha256(sealed).hex()}


def brief_cases():
    lists = [[], [1], [127], [128], [1, 2, 3], [249, 3, 17, 3], list(range(1, 34)), list(range(1, 35)),
             list(range(1, 250)), [2**32 - 1], [16383, 16384, 2097152], [200 * i for i in range(1, 18)],
             list(range(1, 33)) + [1000], list(range(1, 32)) + [1000, 1001]]
    for n, numbers in enumerate(lists):
        day, status, epoch = (0, 20414, 65535)[n % 3], n % 5, (1, 127, 128, 70000)[n % 4]
        plain = brief(day, status, numbers)
        origin = f"{NETWORKS[n % 3]}/h001/pub"
        entry = publish(drawn(f"token {n}", 16), epoch, drawn(f"sealed {n}"), b"")
        key = drawn(f"brief key {n}")
        sealed = brief_sealed(plain, key, origin.encode(), entry)
        yield {"day": day, "status": status, "numbers": numbers, "plain": plain.hex(), "origin": origin,
               "token": drawn(f"token {n}", 16).hex(), "epoch": epoch,
               "record_sealed": drawn(f"sealed {n}").hex(), "entry_without_brief": entry.hex(),
               "brief_key": key.hex(), "brief": sealed.hex(),
               "entry": publish(drawn(f"token {n}", 16), epoch, drawn(f"sealed {n}"), sealed).hex()}


def join_cases():
    for n, (name, addresses) in enumerate([
            ("", []), ("义县人民医院", ["tcp://10.1.2.3:7070"]),
            ("Yi County Hospital", [f"tcp://node{i}.yx-county.hb.cn:7070" for i in range(4)])]):
        seed, network, institution = drawn(f"seed {n}"), NETWORKS[n], ["h001", "42.0581-yx_1", "z" * 64][n]
        yield {"seed": seed.hex(), "network": network, "institution": institution, "name": name,
               "addresses": addresses, "file": join_file(seed, network, institution, name, addresses)}


def key_file_cases():
    for kind, name in (("seed", "h001"), ("signing key", "hb-health/root-1"), ("seed", "n" * 192)):
        secret = drawn("secret " + name)
        yield {"kind": kind, "name": name, "secret": secret.hex(), "file": key_file(kind, name, secret)}


def self_test():
    """Published values, so that a mistake above is not merely copied."""
    assert x25519(bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
                  bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
                  ).hex() == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert ed_public(seed).hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert ed_sign(seed, b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065")
    assert xchacha_seal(bytes(range(0x80, 0xa0)), bytes(range(0x40, 0x58)),
                        bytes.fromhex("50515253c0c1c2c3c4c5c6c7"),
                        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip "
                        b"for the future, sunscreen would be it.")[-16:].hex() == "c0875924c1c7987947deafd8780acf49"


FILES = {"keys": keys_cases, "network_key": network_key_cases, "token": token_cases,
         "record": record_cases, "brief": brief_cases, "join": join_cases, "key_file": key_file_cases}


def main():
    self_test()
    stale = []
    for name, cases in FILES.items():
        text = json.dumps({"cases": list(cases())}, indent=1, ensure_ascii=False) + "\n"
        path = HERE / (name + ".json")
        if sys.argv[1:] == ["--check"]:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(path.name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.exit("make_vectors.py: these differ from what it writes: " + " ".join(stale))


if __name__ == "__main__":
    main()
