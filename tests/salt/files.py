"""Random sets of file states, made by real Salt and by kstate in the same folder: what both leave, and what kstate foretold.

    target/salt/bin/python tests/salt/files.py KSTATE [--seed N] [--sets N] [--only N]

Each set is made from its number. A set fails if `diff` changes something, foretells another outcome than `apply` has, if a
second `diff` still finds something, or if the files are not those that Salt leaves. The smallest failing sets are printed.
"""

import argparse
import json
import logging
import os
import pathlib
import random
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
import salt.config  # noqa: E402
import salt.loader  # noqa: E402
import salt.state  # noqa: E402

NAMES = ["a", "b", "c.conf"]
LINES = ["x = 1", "y = 2", "# x = 1", "#y=3", "name value", "  indented", "x=1", "tail\r"]
# Where kstate fails on purpose and Salt does not; the guide lists these.
REFUSED = re.compile(r"would change again with every run|a (directory|special file) stands at")


def paths():
    """Few paths, so that states meet."""
    return NAMES + ["d", "d/a", "d/b", "d/e", "d/e/a", "l", "f/x"]


class Maker:
    """A random set of states, and what is there before."""

    def __init__(self, seed, owners):
        self.random = random.Random(seed)
        self.owners = owners
        self.before = self.make_before()
        self.states = []
        for number in range(self.random.randint(1, 6)):
            self.states.append(self.state(number))
        self.requisites()

    def chance(self, share):
        return self.random.random() < share

    def pick(self, items):
        return self.random.choice(items)

    def path(self):
        return "ROOT/" + self.pick(paths())

    def text(self):
        lines = [self.pick(LINES) for _ in range(self.random.randint(0, 4))]
        text = "\n".join(lines)
        return text + "\n" if lines and self.chance(0.7) else text

    def mode(self):
        return self.pick(["0644", "0600", "0755", "0640", "4755", "0444"])

    def make_before(self):
        before = {}
        for path in paths():
            parent = path.rpartition("/")[0]
            if parent and before.get(parent, ("", 0))[0] != "directory":
                continue
            kind = self.pick(["nothing", "nothing", "file", "file", "directory", "link"])
            if path == "d" and self.chance(0.7):
                kind = "directory"
            if kind == "file":
                before[path] = ("file", self.text(), self.pick([0o644, 0o600, 0o755]))
            elif kind == "directory":
                before[path] = ("directory", "", self.pick([0o755, 0o700, 0o2755]))
            elif kind == "link":
                before[path] = ("link", self.pick(["a", "d", "gone", "l", "../a", "ROOT/b"]), 0)
        return before

    def owner(self, arguments):
        if self.owners and self.chance(0.25):
            arguments.append({"user": self.pick(["root", "daemon", "nobody"])})
        if self.owners and self.chance(0.15):
            arguments.append({"group": self.pick(["root", "daemon", "mail"])})

    def state(self, number):
        functions = [
            self.managed, self.managed, self.managed, self.absent, self.directory, self.symlink, self.append, self.prepend,
            self.replace, self.comment, self.uncomment, self.keyvalue, self.recurse,
        ]
        function = self.pick(functions)
        arguments = [{"name": self.path()}]
        function(arguments)
        return [f"s{number}", f"file.{function.__name__}", arguments]

    def managed(self, a):
        if self.chance(0.2):
            a.append({"source": "salt://" + self.pick(["tree/one", "tree/sub/two", "tree/tool"])})
            if self.chance(0.4):
                a.append({"mode": "keep"})
        elif self.chance(0.9):
            a.append({"contents": self.pick([self.text(), [self.pick(LINES), 5, True], self.text() + "\n\n"])})
            if self.chance(0.4):
                a.append({"mode": self.mode()})
        for name, value, share in [
            ("makedirs", True, 0.3), ("replace", False, 0.1), ("create", False, 0.1), ("contents_newline", False, 0.1),
            ("dir_mode", "0750", 0.1), ("follow_symlinks", False, 0.1),
        ]:
            if self.chance(share):
                a.append({name: value})
        self.owner(a)

    def absent(self, a):
        pass

    def directory(self, a):
        for name, value, share in [
            ("makedirs", True, 0.4), ("clean", True, 0.3), ("force", True, 0.2), ("mode", self.pick(["0755", "0700", "0750"]), 0.4),
            ("file_mode", "0640", 0.1),
        ]:
            if self.chance(share):
                a.append({name: value})
        self.owner(a)
        if self.chance(0.25):
            given = {key for argument in a for key in argument}
            wanted = [what for what in ("user", "group") if what in given]
            if "mode" in given:
                wanted.append("mode")
            if wanted:
                a.append({"recurse": wanted})

    def symlink(self, a):
        a.append({"target": self.pick(["a", "d", "gone", "ROOT/b", "../a", "ROOT/d/a"])})
        for name, share in [("makedirs", 0.3), ("force", 0.4)]:
            if self.chance(share):
                a.append({name: True})

    def append(self, a):
        a.append({"text": self.pick([self.pick(LINES), [self.pick(LINES), self.pick(LINES)], "two\nlines"])})
        if self.chance(0.3):
            a.append({"makedirs": True})

    def prepend(self, a):
        self.append(a)
        if self.chance(0.3):
            a.append({"header": True})

    def replace(self, a):
        pattern, repl = self.pick([
            (r"^x ?= ?(\d)$", r"x=\1"), (r"^#? ?y.*$", "y = 2"), ("name", "NAME"), (r"\d", "7"), ("a", "aa"),
            (r"^(\w+) = (\w+)$", r"\1=\2"), (r"\s+$", ""), ("zzz", "new line"),
        ])
        a += [{"pattern": pattern}, {"repl": repl}]
        for name, value, share in [
            ("append_if_not_found", True, 0.3), ("backup", False, 0.4), ("count", 1, 0.2), ("ignore_if_missing", True, 0.2),
        ]:
            if self.chance(share):
                a.append({name: value})
        if not any("append_if_not_found" in argument for argument in a) and self.chance(0.2):
            a.append({"prepend_if_not_found": True})

    def comment(self, a):
        a.append({"regex": self.pick(["^x", "^y", "x = 1", "^name value$"])})
        if self.chance(0.5):
            a.append({"backup": False})
        if self.chance(0.2):
            a.append({"char": ";"})

    def uncomment(self, a):
        a.append({"regex": self.pick(["^x", "^y", " x = 1", "y=3"])})
        if self.chance(0.5):
            a.append({"backup": False})

    def keyvalue(self, a):
        a += [{"key_values": {"x": 1, self.pick(["y", "z"]): "two"}}, {"separator": self.pick(["=", " = "])}]
        for name, value, share in [
            ("append_if_not_found", True, 0.4), ("uncomment", "#", 0.3), ("ignore_if_missing", True, 0.2), ("count", 2, 0.1),
        ]:
            if self.chance(share):
                a.append({name: value})

    def recurse(self, a):
        a.append({"source": self.pick(["salt://tree", "salt://tree/sub"])})
        for name, value, share in [
            ("clean", True, 0.3), ("file_mode", self.pick(["keep", "0640"]), 0.4), ("dir_mode", "0750", 0.2),
            ("include_empty", True, 0.2), ("exclude_pat", "*two*", 0.2), ("maxdepth", 0, 0.1), ("replace", False, 0.1),
        ]:
            if self.chance(share):
                a.append({name: value})
        self.owner(a)

    def requisites(self):
        for number, (_, _, arguments) in enumerate(self.states):
            if number and self.chance(0.4):
                kind = self.pick(["require", "require", "onchanges", "onfail", "watch"])
                arguments.append({kind: [{"file": f"s{self.random.randrange(number)}"}]})

    def sls(self, root):
        tree = {ident: {function: arguments} for ident, function, arguments in self.states}
        return json.dumps(tree, indent=1).replace("ROOT", str(root)) + "\n"


def build(root, before):
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    os.chmod(root, 0o755)
    for path, (kind, text, mode) in before.items():
        path = root / path
        if kind == "file":
            path.write_bytes(text.encode())
        elif kind == "directory":
            path.mkdir()
        else:
            path.symlink_to(text.replace("ROOT", str(root)))
            continue
        os.chmod(path, mode)


def snapshot(root):
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            mode, owner = stat.S_IMODE(info.st_mode), f"{info.st_uid}:{info.st_gid}"
            if stat.S_ISLNK(info.st_mode):
                what = ("link", os.readlink(path), owner)
            elif stat.S_ISDIR(info.st_mode):
                what = ("directory", f"{mode:04o}", owner)
            else:
                what = ("file", f"{mode:04o}", owner, pathlib.Path(path).read_bytes().decode("utf-8", "backslashreplace"))
            found[os.path.relpath(path, root)] = what
    return found


class Salt:
    def __init__(self, work, states):
        self.options = salt.config.minion_config("/nonexistent")
        self.options.update(
            id="alpha", file_client="local", root_dir=str(work), autoload_dynamic_modules=False, fileserver_list_cache_time=0,
            file_roots={"base": [str(states)]}, pillar_roots={"base": [str(work / "pillar")]}, state_events=False,
        )
        for name in ("cachedir", "pki_dir", "sock_dir", "extension_modules", "log_file", "conf_file"):
            self.options[name] = str(work / name)
        self.options["grains"] = salt.loader.grains(self.options)
        self.high = salt.state.HighState(self.options)

    def apply(self):
        self.high.building_highstate = {}
        high, errors = self.high.render_highstate({"base": ["it"]})
        result = errors or self.high.state.call_high(high)
        if not isinstance(result, dict):
            return {"error": str(result)}
        outcomes = {}
        for state in result.values():
            skipped = state.get("__state_ran__") is False
            outcome = "failed" if state["result"] is False else "changed" if state["changes"] else "unchanged"
            outcomes[state["__id__"]] = ("skipped" if skipped else outcome, str(state["comment"]))
        return outcomes


class Mine:
    def __init__(self, program, work):
        self.program, self.work = program, work
        (work / "home").mkdir(parents=True)

    def run(self, command, *words):
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.work / "home"), "TZ": "UTC", "TERM": "dumb", "KSTATE_TOKENS": str(self.work),
            "XDG_CACHE_HOME": str(self.work / "home/cache"),
        }
        done = subprocess.run(
            [self.program, "--local", command, "it", "--format", "json", *words], cwd=self.work / "root", env=environment,
            capture_output=True, text=True, timeout=120, check=False,
        )
        try:
            report = json.loads(done.stdout)
            states = next(iter(report["targets"].values()))["states"]
        except (ValueError, KeyError, StopIteration, TypeError):
            return {"error": ("refused", (done.stdout + done.stderr)[-1500:])}
        return {state["id"]: (state["outcome"], state["reason"] or "") for state in states}


FORETOLD = {
    "in_sync": {"unchanged", "skipped"}, "drift": {"changed"}, "failed": {"failed"}, "skipped": {"skipped"},
    "always": {"changed"},
}


def compare(maker, root, theirs, mine):
    """What is wrong with a set: a list of lines."""
    (mine.work / "root/states/it.sls").write_text("#!yaml\n" + maker.sls(root))
    build(root, maker.before)
    start = snapshot(root)
    salt_outcomes = theirs.apply()
    salt_files = snapshot(root)
    build(root, maker.before)
    foretold = mine.run("diff")
    wrong = []
    if snapshot(root) != start:
        wrong.append("diff changed something")
    if "error" in foretold:
        return [f"refused: {foretold['error'][1]}"], salt_outcomes, foretold, {}
    happened = mine.run("apply", "--yes")
    files = snapshot(root)
    again = mine.run("diff")
    refused = False
    for ident, (outcome, reason) in happened.items():
        told, why = foretold.get(ident, ("nothing", ""))
        refused = refused or REFUSED.search(reason) is not None
        if told != "unknown" and outcome not in FORETOLD.get(told, {told}):
            wrong.append(f"{ident}: foretold {told} ({why}), happened {outcome} ({reason})")
        if reason.startswith("applied, but"):
            wrong.append(f"{ident}: {reason}")
        if outcome == "failed" and salt_outcomes.get(ident, ("",))[0] in ("changed", "unchanged") and not REFUSED.search(reason):
            wrong.append(f"{ident}: only kstate fails: {reason}")
    if not refused and not any(line.split(": ")[1].startswith("only kstate") for line in wrong if ": " in line):
        for path in sorted(set(files) | set(salt_files)):
            both = files.get(path), salt_files.get(path)
            if both[0] != both[1] and not on_the_way(path, both, maker):
                wrong.append(f"{path}: Salt leaves {salt_files.get(path)}, kstate {files.get(path)}")
    return wrong, salt_outcomes, foretold, happened


def on_the_way(path, both, maker):
    """Whether it is a directory that was made on the way to another path: its mode is not declared."""
    declared = {argument.get("name") for _, _, arguments in maker.states for argument in arguments}
    return "ROOT/" + path not in declared and path not in maker.before and all(
        found is not None and found[0] == "directory" for found in both
    )


def shrink(maker, root, theirs, mine):
    """Leaves out states and files while the set still fails."""
    wrong = compare(maker, root, theirs, mine)[0]
    tries = 0
    progress = True
    while progress and tries < 60:
        progress = False
        for kind, keys in (("states", list(range(len(maker.states)))[::-1]), ("before", list(maker.before))):
            for key in keys:
                kept = maker.states, maker.before
                if kind == "states":
                    gone = maker.states[key][0]
                    if gone in json.dumps([state[2] for index, state in enumerate(maker.states) if index != key]):
                        continue
                    maker.states = [state for index, state in enumerate(maker.states) if index != key]
                else:
                    maker.before = {
                        path: what for path, what in maker.before.items() if path != key and not path.startswith(key + "/")
                    }
                tries += 1
                found = compare(maker, root, theirs, mine)[0] if maker.states else []
                if found:
                    wrong, progress = found, True
                    break
                maker.states, maker.before = kept
            if progress:
                break
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kstate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sets", type=int, default=50)
    parser.add_argument("--shown", type=int, default=5)
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="kstate-files-"))
    try:
        return run(options, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run(options, work):
    os.chmod(work, 0o755)
    os.umask(0o022)
    mine = Mine(os.path.abspath(options.kstate), work / "mine")
    states = mine.work / "root/states"
    (states / "tree/sub").mkdir(parents=True)
    (states / "tree/empty").mkdir()
    (mine.work / "root/kstate.yaml").write_text("file_roots: [states]\npillar_roots: [pillar]\nroster: roster\n")
    (mine.work / "root/roster").write_text("")
    for name, text, mode in [("one", "first\n", 0o644), ("sub/two", "second", 0o600), ("tool", "#!/bin/sh\n", 0o755)]:
        (states / "tree" / name).write_text(text)
        os.chmod(states / "tree" / name, mode)
    (states / "it.sls").write_text("{}\n")
    theirs = Salt(work / "salt", states)
    root = work / "files"
    failed, states_seen, unknown = [], 0, 0
    for seed in range(options.seed, options.seed + options.sets):
        maker = Maker(seed, os.geteuid() == 0)
        wrong, _, foretold, _ = compare(maker, root, theirs, mine)
        states_seen += len(maker.states)
        unknown += sum(outcome == "unknown" for outcome, _ in foretold.values())
        if wrong:
            failed.append(seed)
            if len(failed) <= options.shown:
                wrong = shrink(maker, root, theirs, mine)
                print(f"--- seed {seed}")
                print("before:", json.dumps(maker.before))
                print(maker.sls("ROOT"))
                print("\n".join(wrong).replace(str(root), "ROOT"), flush=True)
                salt_outcomes = compare(maker, root, theirs, mine)[1]
                print("Salt:", str(salt_outcomes).replace(str(root), "ROOT")[:600], flush=True)
    print(f"{options.sets} sets, {states_seen} states, {unknown} unknown, {len(failed)} sets with differences: {failed[:40]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
