#!/usr/bin/env python3
"""Writes Salt's answers into a corpus: `pip install salt==3008.3`, then `answer.py corpus.txt`.

A block begins with `=== ANSWER`; the answer is `refused`, or what was read, in one line.
"""
import re
import struct
import sys
import warnings
from collections import OrderedDict

warnings.simplefilter("ignore")
import salt.utils.yamlloader as loader  # noqa: E402


def shown(value):
    if value is None:
        return "~"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        # Beyond 64 bits kstate keeps the digits as text.
        return str(value) if -2**63 <= value < 2**63 else '"%d"' % value
    if isinstance(value, float):
        return "f%016x" % struct.unpack(">Q", struct.pack(">d", value))[0]
    if isinstance(value, bytes):
        return "b" + value.hex()
    if isinstance(value, dict):
        return "{%s}" % ", ".join("%s: %s" % (shown(k), shown(v)) for k, v in value.items())
    if isinstance(value, set):
        return '{"__set__": %s}' % shown(sorted(value, key=str))
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join(map(shown, value))
    text = re.sub(r'(["\\])', r"\\\1", str(value))
    return '"%s"' % re.sub("[\x00-\x1f]", lambda m: "\\u%04x" % ord(m.group()), text)


def answer(text):
    try:
        data = loader.load(text, Loader=lambda stream: loader.SaltYamlSafeLoader(stream, dictclass=OrderedDict))
        return shown(data)
    except Exception:  # whatever is wrong, Salt refuses it
        return "refused"


if __name__ == "__main__":
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8", newline="") as file:
            head, *blocks = file.read().split("=== ")
        texts = [block.split("\n", 1)[1] for block in blocks]
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(head + "".join("=== %s\n%s" % (answer(text), text) for text in texts))
