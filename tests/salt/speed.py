#!/usr/bin/env python3
"""How long kstate takes to compile a highstate of 500 states for 50 targets, and how long Salt takes for the same.

  speed.py [KSTATE]    target/release/kstate unless named; run it with target/salt/bin/python, which `setup` makes

kstate: one run of `show lowstate`, from its start to its end, with all that it reads and prints. Salt: as many processes as
there are processors, each of which compiles its share of the targets, pillar included; starting Python, loading Salt and
its modules once, and printing are not counted. Both on the same tree, one after the other, and the chunks must be the same.
"""

import json
import multiprocessing
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import oracle

TARGETS = ["host%02d" % number for number in range(50)]
FILES, STATES = 20, 25
GRAINS = json.loads((pathlib.Path(__file__).parent / "grains.json").read_text())
RUNS = 3
MEASURE = """\
import os, sys, time
begin = time.monotonic()
_, status, usage = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
print(time.monotonic() - begin, usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""

SLS = """\
{{% from 'lib/map.jinja' import app, box with context %}}
{{% set site = salt['pillar.get']('sites:s{number}', {{}}) %}}
include:
  - common
{{% for n in range({states} // 5) %}}
{{% set name = 's{number}-' ~ n %}}
{{{{ name }}}}-package:
  pkg.installed:
    - pkgs: {{{{ app.packages|yaml }}}}
    - require:
      - sls: common

/etc/{{{{ name }}}}.conf:
  file.managed:
    - source: salt://files/{{{{ app.source }}}}
    - template: jinja
    - mode: '0644'
    - context:
        port: {{{{ site.get('port', 80) + n }}}}
        names: {{{{ site.get('names', [])|join(' ') }}}}
        text: {{{{ box(name, size=n) }}}}
    - require:
      - pkg: {{{{ name }}}}-package
    - watch_in:
      - service: {{{{ name }}}}-service

{{{{ name }}}}-service:
  service.running:
    - name: {{{{ name }}}}
    - enable: {{{{ site.get('enabled', True) }}}}
    - require:
      - file: /etc/{{{{ name }}}}.conf

/srv/{{{{ name }}}}:
  file.directory:
    - user: {{{{ pillar.owner }}}}
    - makedirs: True
    {{%- if grains['os_family'] == 'Debian' %}}
    - require_in:
      - service: {{{{ name }}}}-service
    {{%- endif %}}

{{{{ name }}}}-check:
  cmd.run:
    - name: check {{{{ name }}}} {{{{ grains.id }}}}
    - onchanges:
      - file: /etc/{{{{ name }}}}.conf
      - file: /srv/{{{{ name }}}}
{{% endfor %}}
"""
MAP = """\
{% import_yaml 'lib/defaults.yaml' as defaults %}
{% set app = salt['grains.filter_by'](defaults, grain='os_family', merge=pillar.get('app', {})) %}
{% macro box(name, size=1) %}{{ name|upper }}[{{ size * 2 }}]{% endmacro %}
"""


def write(root):
    """A root with `FILES` × `STATES` states and one for all of them."""
    files = {
        "kstate.yaml": "file_roots: [states]\npillar_roots: [pillar]\nroster: roster\n",
        "roster": "".join("%s: 192.0.2.1\n" % target for target in TARGETS),
        "grains.json": json.dumps({key: value for key, value in GRAINS.items() if key != "id"}),
        "states/lib/map.jinja": MAP,
        "states/lib/defaults.yaml": "Debian:\n  packages: [nginx, curl]\n  source: a.conf\nRedHat:\n  packages: [httpd]\n",
        "states/common.sls": "common: test.nop\n",
        "states/top.sls": "base:\n  '*':\n" + "".join("    - app%02d\n" % number for number in range(FILES)),
        "pillar/top.sls": "base:\n  '*':\n    - common\n    - sites\n  'host*[13579]':\n    - odd\n",
        "pillar/common.sls": "owner: deploy\napp:\n  packages: [nginx]\nhost: {{ grains.id }}\n",
        "pillar/sites.sls": "sites:\n"
        + "".join("  s%d: {port: %d, names: [a%d, b%d]}\n" % (n, 8000 + n, n, n) for n in range(FILES)),
        "pillar/odd.sls": "owner: admin\n",
    }
    for number in range(FILES):
        files["states/app%02d.sls" % number] = SLS.format(number=number, states=STATES)
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def share(work, root, targets, start, results):
    """Compiles for some targets, once all processes are ready."""
    work.mkdir()
    salt = oracle.Oracle(work, GRAINS)
    salt.compile(root)
    start.wait()
    begin = time.monotonic()
    chunks = {target: salt.compile(root, target)["low"] for target in targets}
    end = time.monotonic()
    results.put((begin, end, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, chunks))


def salt_time(work, root):
    """Seconds, peak MB of one process, and the chunks by target."""
    workers = os.cpu_count()
    start, results = multiprocessing.Barrier(workers), multiprocessing.Queue()
    for number in range(workers):
        arguments = (work / str(number), root, TARGETS[number::workers], start, results)
        multiprocessing.Process(target=share, args=arguments).start()
    parts = [results.get() for _ in range(workers)]
    seconds = max(end for _, end, _, _ in parts) - min(begin for begin, _, _, _ in parts)
    return seconds, max(peak for _, _, peak, _ in parts) / 1024, {k: v for part in parts for k, v in part[3].items()}


def kstate_time(kstate, root):
    """Seconds, peak MB, and the chunks by target. A process of its own starts kstate: the peak of a process counts what its
    parent had when it was forked, and this one holds Salt's answers."""
    words = [kstate, "--root", root, "show", "lowstate", "--grains", root / "grains.json", "--format", "json"]
    with open(root.parent / "out.json", "w+b") as out:
        done = subprocess.run([sys.executable, "-c", MEASURE, *words], stdout=out, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit("kstate failed: " + done.stderr)
        seconds, peak = done.stderr.split()[-2:]
        out.seek(0)
        return float(seconds), int(peak) / 1024, json.load(out)


def identities(chunks):
    return [[chunk[key] for key in ("state", "fun", "__id__", "name", "__sls__")] for chunk in chunks]


def main(kstate="target/release/kstate"):
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        root = work / "root"
        write(root)
        salt, salt_peak, expected = salt_time(work, root)
        runs = [kstate_time(kstate, root) for _ in range(RUNS)]
        for _, _, found in runs:
            for target in TARGETS:
                if identities(found[target]) != identities(expected[target]):
                    sys.exit("kstate and Salt compile %s to something else" % target)
        seconds, peak = min(run[0] for run in runs), max(run[1] for run in runs)
        count = len(expected[TARGETS[0]])
    print("%d states for %d targets on %d processors" % (count, len(TARGETS), os.cpu_count()))
    print("Salt    %8.2f s  %5.0f MB in each process" % (salt, salt_peak))
    print("kstate  %8.2f s  %5.0f MB, the best of %d runs: %s" % (
        seconds, peak, RUNS, ", ".join("%.2f" % run[0] for run in runs)))  # fmt: skip
    print("ratio   %8.0f" % (salt / seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
