#!/usr/bin/env python3
"""Asks real Salt what the trees of `cases/` compile to, and writes its answers to `expected.json`.

  make.py    all cases; needs what `setup` installs: run it with target/salt/bin/python
"""

import json
import pathlib
import tempfile

import oracle

HERE = pathlib.Path(__file__).parent
WIDTH = 160


def write(root, case):
    """The files of a case. Without a top file of its own, the target gets the SLS `a`."""
    sections = case.read_text(encoding="utf-8").split("--- ")[1:]
    files = {"states/top.sls": "base: {'*': [a]}\n"} | dict(section.split("\n", 1) for section in sections)
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")


def ask(salt, root):
    with salt.open(root) as high_state:
        answer = oracle.answer(high_state)
        if "refused" in answer:
            first = answer["refused"][0].strip().splitlines()[0]
            return answer | {"refused": [first.replace(str(root.parent), "")[:WIDTH]]}
        if (root / "pillar").exists():
            answer = {"pillar": oracle.plain(high_state.opts["pillar"])} | answer
        return answer


def document(answers):
    """A chunk a line, so that a person can read what changes."""
    cases = []
    for name, answer in answers.items():
        parts = []
        for key, value in answer.items():
            text = json.dumps(value, ensure_ascii=False)
            if isinstance(value, list) and value:
                text = "[\n" + ",\n".join("  " + json.dumps(item, ensure_ascii=False) for item in value) + "]"
            parts.append(" %s: %s" % (json.dumps(key), text))
        cases.append("%s: {\n%s}" % (json.dumps(name), ",\n".join(parts)))
    return "{\n%s\n}\n" % ",\n".join(cases)


def main():
    answers = {}
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        salt = oracle.Oracle(work, json.loads((HERE / "grains.json").read_text()))
        for case in sorted((HERE / "cases").glob("*.txt")):
            write(work / case.stem, case)
            answers[case.stem] = ask(salt, work / case.stem)
    (HERE / "expected.json").write_text(document(answers), encoding="utf-8")
    refused = sum("refused" in answer for answer in answers.values())
    print("%d cases: %d compile, %d are refused" % (len(answers), len(answers) - refused, refused))


if __name__ == "__main__":
    main()
