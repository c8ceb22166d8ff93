#!/usr/bin/env python3
"""Fail when a folder includes what the layering forbids (see README, Layers)."""
import pathlib
import re
import sys

# folder: (project folders, third-party headers) it may include.
MAY = {
    "proto": ({"proto"}, {"protobuf-c", "jansson", "csv"}),
    "crypto": ({"proto", "crypto"}, {"sodium", "openssl"}),
    "store": ({"proto", "crypto", "store"}, {"lmdb"}),
    "policy": ({"proto", "policy"}, set()),
    "node": ({"proto", "crypto", "store", "policy", "node"},
             {"sodium", "nng", "protobuf-c", "jansson", "cyaml", "csv", "microhttpd", "zstd",
              "qrencode"}),
    "tests": ({"proto", "crypto", "store", "policy", "node", "tests"},
              {"cmocka", "sodium", "lmdb", "nng", "jansson", "protobuf-c", "openssl"}),
}
THIRD_PARTY = {"sodium", "openssl", "lmdb", "nng", "protobuf-c", "cmocka", "jansson", "csv",
               "cyaml", "microhttpd", "zstd", "qrencode"}
# Headers a pure file must not see: time, randomness, threads, files, network.
IMPURE = {"time.h", "unistd.h", "pthread.h", "fcntl.h", "sys/stat.h", "sys/socket.h",
          "lmdb.h", "nng/nng.h", "microhttpd.h", "sys/time.h", "threads.h"}
# policy sees libc's string and integer headers only; in node every file is pure
# but the shells: *_io.c, cmd_*.c, main.c.
POLICY_MAY = {"stdbool.h", "stddef.h", "stdint.h", "string.h", "assert.h", "limits.h"}
# Once in a process jansson is told where to allocate.
PURE_BUT = {("proto/jsonwhole.c", "pthread.h")}
PURE = re.compile(r"^(policy|crypto|proto)/|^node/(?!.*_io\.)(?!cmd_)(?!main\.)[a-z0-9_]+\.[ch]$")

bad = []
for folder, (ours, third) in MAY.items():
    for path in sorted(pathlib.Path(folder).rglob("*.[ch]")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'#\s*include\s+[<"]([^>"]+)[>"]', line)
            if not match:
                continue
            name = match.group(1)
            root = name.split("/")[0].removesuffix(".h")
            if root in MAY and "/" in name and root not in ours:
                bad.append(f"{path}:{number}: {folder} may not include {root}")
            elif root in THIRD_PARTY and root not in third:
                bad.append(f"{path}:{number}: {folder} may not use {root}")
            elif PURE.match(str(path)) and name in IMPURE and (str(path), name) not in PURE_BUT:
                bad.append(f"{path}:{number}: pure file includes {name}")
            elif folder == "policy" and "/" not in name and name not in POLICY_MAY:
                bad.append(f"{path}:{number}: policy may not include {name}")
print("\n".join(bad) or "layers: ok")
sys.exit(bool(bad))
