#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""embed.py STYLE SCRIPT HEADER: writes a header with both files as arrays, and their checksums as a
Content-Security-Policy has them."""
import base64
import hashlib
import sys
from pathlib import Path


def array(name: str, path: str) -> str:
    data = Path(path).read_bytes()
    if b"</" in data:
        sys.exit(f"{path}: the page would end it at </")
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode("ascii")
    lines = [", ".join(map(str, data[i:i + 20])) for i in range(0, len(data), 20)]
    return (f'#define REPORT_{name.upper()}_SHA256 "{digest}"\n'
            f"static const unsigned char report_{name}[] = {{\n" + ",\n".join(lines) + "};\n"
            f"static const size_t report_{name}_size = sizeof(report_{name});\n")


def main() -> int:
    style, script, header = sys.argv[1:]
    Path(header).write_text("#include <stddef.h>\n" + array("style", style) +
                            array("script", script), encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
