#!/usr/bin/env python3
"""What wordcount should emit, with a regular expression and a Counter.

    expected.py TEXT > EXPECTED.jsonl          sorted by word
    expected.py --check TESTDATA               computes TESTDATA/expected.jsonl again and compares
"""

import json
import pathlib
import re
import sys
from collections import Counter


def compute(path):
    text = pathlib.Path(path).read_bytes()
    words = Counter(w.decode() for w in re.findall(rb"[a-z\x80-\xff]+", text.lower()))
    lines = ({"word": w, "count": n} for w, n in sorted(words.items()))
    return "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)


def main(arguments):
    if arguments[:1] != ["--check"]:
        sys.stdout.write(compute(arguments[0]))
        return 0
    folder = pathlib.Path(arguments[1])
    same = compute(folder / "opticks.txt") == (folder / "expected.jsonl").read_text(encoding="utf-8")
    print(f"{folder}: {'as committed' if same else 'DIFFERS from what is committed'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
