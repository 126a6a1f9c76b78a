#!/usr/bin/env python3
"""Asks real Salt what the templates of `expressions.txt` render to, and writes the answers to `expected.json`.

Needs Python 3.11 and `pip install salt==3008.3`. One template stands on each line; ⏎ is a line break. A template that
Salt refuses has `null` as its answer.
"""

import json
import logging
import os
import pathlib
import sys
import tempfile

import salt.client
import salt.config

HERE = pathlib.Path(__file__).parent


def caller(work):
    (work / "pillar").mkdir(parents=True, exist_ok=True)
    pillar = json.loads((HERE / "pillar.json").read_text())
    (work / "pillar" / "top.sls").write_text("base: {'*': [data]}\n")
    (work / "pillar" / "data.sls").write_text("#!yaml\n" + json.dumps(pillar))
    (work / "minion").write_text(json.dumps({"grains": json.loads((HERE / "grains.json").read_text())}))
    options = salt.config.minion_config("/nonexistent")
    options.update(
        id="web1",
        file_client="local",
        root_dir=str(work),
        cachedir=str(work / "cache"),
        pki_dir=str(work / "pki"),
        sock_dir=str(work / "sock"),
        log_file=str(work / "log"),
        extension_modules=str(work / "ext"),
        conf_file=str(work / "minion"),
        file_roots={"base": [str(HERE / "tree")]},
        pillar_roots={"base": [str(work / "pillar")]},
    )
    return salt.client.Caller(mopts=options)


def main():
    logging.disable(logging.CRITICAL)
    lines = (HERE / "expressions.txt").read_text().splitlines()
    answers = []
    with tempfile.TemporaryDirectory() as work:
        salt_ = caller(pathlib.Path(work))
        for number, line in enumerate(lines, 1):
            if "pillar" in line and "do " in line:
                salt_ = caller(pathlib.Path(work))
            try:
                rendered = salt_.cmd("slsutil.renderer", string=line.replace("⏎", "\n"), default_renderer="jinja")
                answers.append(rendered)
            except Exception as error:  # noqa: BLE001 (any refusal counts)
                answers.append(None)
                print(number, line, "->", str(error).strip().splitlines()[0][:150], file=sys.stderr)
            if "pillar" in line and "do " in line:
                salt_ = caller(pathlib.Path(work))
    (HERE / "expected.json").write_text(json.dumps(answers, indent=0, ensure_ascii=False) + "\n")
    print(len(answers), "templates,", answers.count(None), "refused")


if __name__ == "__main__":
    main()
