#!/usr/bin/env python3
"""Write a C file that holds every file under the given folders as bytes.

usage: embed.py OUT.c FOLDER...   (declared in node/embedded.h)"""
import pathlib
import sys

out, folders = pathlib.Path(sys.argv[1]), sys.argv[2:]
files = sorted(p for f in folders for p in pathlib.Path(f).rglob("*") if p.is_file())
lines = ['#include "node/embedded.h"', "#include <string.h>"]
for n, path in enumerate(files):
    data = path.read_bytes()
    lines.append(f"static const uint8_t file_{n}[{len(data) + 1}] = {{")
    for i in range(0, len(data), 24):
        lines.append(",".join(str(b) for b in data[i:i + 24]) + ",")
    lines.append("0};")
lines.append("const struct embedded_file embedded_files[] = {")
for n, path in enumerate(files):
    lines.append(f'    {{"{path.as_posix()}", {{file_{n}, sizeof file_{n} - 1}}}},')
lines.append("    {NULL, {NULL, 0}}};")
lines.append("""
const struct embedded_file *
embedded_find(const char *path)
{
    for (const struct embedded_file *f = embedded_files; f->path != NULL; f++) {
        if (strcmp(f->path, path) == 0) {
            return f;
        }
    }
    return NULL;
}
""")
out.write_text("\n".join(lines))
