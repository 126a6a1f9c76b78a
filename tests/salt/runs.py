#!/usr/bin/env python3
"""Random trees of states that run, each made from a number, and what real Salt makes of them.

  runs.py FIRST COUNT [STEP]    one JSON document a line: seed, files, outcomes, and what the commands wrote down
  runs.py --answer              reads such documents, and answers each anew: for trees that were made smaller

Commands write to the file `@LOG@`. Where kstate differs from Salt on purpose (`book/src/guide/coming-from-salt.md`), Salt is
made to do as kstate does, so that everything else is compared: see `Run`.
"""

import json
import os
import pathlib
import random
import sys
import tempfile

import yaml

REQUISITES = [
    "require", "require_any", "watch", "watch_any", "prereq", "onfail", "onfail_any", "onfail_all", "onchanges",
    "onchanges_any", "listen",
]  # fmt: skip
REVERSED = ["require_in", "watch_in", "prereq_in", "onfail_in", "onchanges_in", "listen_in"]
GUARDS = [
    {"unless": "true"}, {"unless": "false"}, {"onlyif": "true"}, {"onlyif": "false"}, {"unless": ["true", "false"]},
    {"onlyif": ["true", "false"]}, {"creates": "/"}, {"creates": "/nowhere"}, {"creates": ["/", "/nowhere"]},
]  # fmt: skip


GRAINS = {"kernel": "Linux", "os": "Debian", "os_family": "Debian", "shell": "/bin/sh"}


class Tree:
    """The tree of a seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.density = self.pick(0.5, 1, 1.5, 2.5)
        self.ids = ["s%d" % number for number in range(self.pick(2, 3, 3, 4, 4, 5, 6, 8, 12))]
        self.sls = {id_: self.pick("a", "a", "b") for id_ in self.ids}
        self.module = {id_: self.pick("cmd", "cmd", "test") for id_ in self.ids}
        self.rank = self.random.sample(self.ids, len(self.ids)) if self.chance(0.7) else list(self.ids)

    def chance(self, share):
        return self.random.random() < share

    def pick(self, *choices):
        return self.random.choice(choices)

    def files(self):
        bodies = {"a": {}, "b": {}}
        for id_ in self.ids:
            bodies[self.sls[id_]][id_] = self.state(id_)
        bodies["a"] = {"include": ["b"]} | bodies["a"]
        return {name + ".sls": body or {"nothing": {"test.nop": []}} for name, body in bodies.items()}

    def state(self, id_):
        arguments = []
        if self.module[id_] == "test":
            function = "test." + self.pick(
                "nop", "succeed_with_changes", "succeed_without_changes", "fail_without_changes", "fail_with_changes"
            )
        else:
            function = self.pick("cmd.run", "cmd.run", "cmd.run", "cmd.wait")
            end = self.pick("", "", "; exit 1")
            if self.chance(0.1):
                arguments.append({"names": ["echo %s.%d >>@LOG@%s" % (id_, n, end) for n in range(2)]})
            else:
                arguments.append({"name": "echo %s >>@LOG@%s" % (id_, end)})
        if self.chance(0.2):
            arguments.append(self.pick(*GUARDS))
        if self.chance(0.1):
            arguments.append({"order": self.pick(1, 2, "last", "first", -1)})
        if self.chance(0.04):
            arguments.append({"failhard": True})
        for kind in self.random.sample(REQUISITES, len(REQUISITES)):
            if self.chance(self.density / len(REQUISITES)):
                arguments.append({kind: [self.reference(kind, id_) for _ in range(self.pick(1, 1, 2, 3))]})
        for kind in REVERSED:
            other = self.other(kind, id_)
            if self.chance(self.density / 25) and other != id_:
                arguments.append({kind: [{self.module[other]: other}]})
        for kind in ("use", "use_in"):
            if self.chance(0.02):
                other = self.other("require" if kind == "use" else "require_in", id_)
                if self.module[other] == self.module[id_]:
                    arguments.append({kind: [{self.module[other]: other}]})
        if self.chance(0.02):
            arguments.append({"onfail_stop": []})
        self.random.shuffle(arguments)
        return {function: arguments}

    def other(self, kind, id_):
        """A state that comes before this one in rank, or behind it if the kind asks for it: so there is no cycle."""
        place = self.rank.index(id_)
        behind = (kind == "prereq") != (kind.endswith("_in") and kind != "prereq_in")
        others = self.rank[place + 1 :] if behind else self.rank[:place]
        if kind.startswith("listen"):
            others = [other for other in self.rank if other != id_]
        return self.pick(*others) if others else id_

    def reference(self, kind, id_):
        other = self.other(kind, id_)
        if other == id_:
            return {"sls": "no*"} if kind != "listen" else {self.module[id_]: None}
        if kind == "listen":
            return {self.module[other]: other}
        module = self.module[other]
        forms = [{module: other}] * 10 + [other, {"id": other}, {module: "[s]" + other[1:]}]
        return self.pick(*forms)


def text(files):
    return {
        name: body if isinstance(body, str) else yaml.safe_dump(body, sort_keys=False, width=120)
        for name, body in files.items()
    }


class Failure(Exception):
    """Salt does not compile the tree."""


def patched(state_module, log):
    """Salt's `State`, which does as kstate does where that differs on purpose."""
    tag_of = state_module._gen_tag

    class Run(state_module.State):
        def call_chunk(self, low, running, chunks, depth=0):
            tag, trial = tag_of(low), bool(low.get("__prereq__"))
            if tag in running and not trial:
                return super().call_chunk(low, running, chunks, depth)
            status, _ = self._check_requisites(low, running)
            foreseen = self.pre.get(tag)
            self.last = None
            answer = super().call_chunk(low, running, chunks, depth)
            if trial and status == "change" and tag in self.pre:
                # A watched change is one that `prereq` acts before.
                last = self.pre[tag]
                if not last["changes"] and not last.get("skip_watch") and last["result"] is not False:
                    last["changes"], last["result"] = {"watch": "watch"}, None
            elif status == "fail" and foreseen is not None and foreseen["result"] is None:
                # What a failed `prereq` holds back is skipped as after a failed `require`.
                running[tag]["result"], running[tag]["__state_ran__"] = False, False
            return answer

        def call(self, low, chunks=None, running=None, retries=1):
            if low["fun"] == "mod_watch" and low["__id__"].startswith("listener_"):
                # A listener that failed, was skipped for a failure, or had no turn does not react.
                own = tag_of(low | {"fun": low["sfun"], "__id__": low["__id__"].removeprefix("listener_")})
                if self.ran.get(own, {}).get("result") is not True:
                    return {"result": True, "changes": {}, "name": low["name"], "comment": "", "__run_num__": 0}
                if low["sfun"] == "fail_without_changes":
                    # A state that cannot become as declared has failed, whatever it reacts to.
                    return {"result": False, "changes": {}, "name": low["name"], "comment": "", "__run_num__": 0}
            elif low["fun"] == "mod_watch" and self.last is not None and self.last["result"] is False:
                # A state that failed is not refreshed.
                return self.last
            self.last = super().call(low, chunks, running, retries)
            return self.last

        def call_listen(self, chunks, running):
            self.ran = dict(running)
            for chunk in chunks:
                # Of a state that was tried and then not asked for, Salt runs the reaction in test mode.
                chunk["__prereq__"] = False
            return super().call_listen(chunks, running)

    return Run


class Salt:
    """Real Salt, which runs trees one after the other in this process."""

    def __init__(self, work):
        import oracle
        import salt.state

        self.work, self.log = work, work / "log"
        options = oracle.Oracle(work, GRAINS | {"id": oracle.TARGET}).options
        options["file_roots"] = {"base": [str(work / "states")]}
        options["pillar_roots"] = {"base": [str(work / "pillar")]}
        options["state_events"] = False
        (work / "states").mkdir()
        self.state = salt.state
        run = patched(salt.state, self.log)
        plain, salt.state.State = salt.state.State, run
        self.high = salt.state.HighState(options, initial_pillar={"no": "pillar"})
        salt.state.State = plain

    def answer(self, files):
        for name, content in text(files).items():
            (self.work / "states" / name).write_text(content.replace("@LOG@", str(self.log)))
        (self.work / "states" / "top.sls").write_text("base: {'*': [a]}\n")
        self.log.unlink(missing_ok=True)
        high = self.high
        high.building_highstate = type(high.building_highstate)()
        high.iorder = 10000
        high.avail = self.state.LazyAvailStates(high)
        inner = high.state
        inner.pre, inner.last, inner.ran = {}, None, {}
        inner.dependency_dag = self.state.DependencyGraph()
        inner.reset_run_num()
        inner.active = set()
        chunks = []
        call_chunks = type(inner).call_chunks
        inner.call_chunks = lambda low, disabled_states=None: (
            chunks.append([dict(chunk) for chunk in low]) or call_chunks(inner, low, disabled_states)
        )
        high.push_active()
        try:
            told = high.call_highstate()
        except Exception as error:  # noqa: BLE001 (whatever is wrong, Salt breaks down over it)
            return {"refused": [repr(error)]}
        finally:
            high.pop_active()
        if is_unsettled(inner.dependency_dag.dag):
            return {"refused": ["a chain of `prereq` that Salt does not follow"]}
        if not isinstance(told, dict) or not chunks:
            return {"refused": [str(told)]}
        log = self.log.read_text().split() if self.log.exists() else []
        return {"outcomes": self.outcomes(chunks[0], told), "log": log}

    def outcomes(self, chunks, told):
        """By id and name, in the order of the run."""
        outcomes = {}
        for chunk in chunks:
            own = told.get(self.state._gen_tag(chunk))
            as_listener = chunk | {"__id__": "listener_" + chunk["__id__"], "fun": "mod_watch"}
            reaction = told.get(self.state._gen_tag(as_listener))
            key = "%s %s" % (chunk["__id__"], chunk["name"].replace(str(self.log), "@LOG@"))
            outcomes.setdefault(key, outcome(own, reaction))
        return outcomes


def is_unsettled(dag):
    """Whether a state under `prereq` has `prereq` itself and is declared first: then Salt tries it without looking at its own."""
    trial = "_|-__prereq_test__"

    def prereqs(node):
        return {source for source, _, kind in dag.in_edges(node, keys=True) if kind.value == "prereq"}

    tried = [node for node in dag.nodes if node.endswith(trial)]
    return any(prereqs(node.removesuffix(trial)) - prereqs(node) for node in tried)


def outcome(own, reaction):
    if reaction and (reaction["changes"] or reaction["result"] is False):
        own = reaction
    if own is None:
        return "skipped"
    ran = own.get("__state_ran__", True)
    if not own["result"]:
        return "failed" if ran else "skipped"
    if not ran:
        return "skipped"
    return "changed" if own["changes"] else "unchanged"


def main(*words):
    sys.path.insert(0, os.path.dirname(__file__))
    with tempfile.TemporaryDirectory() as work:
        salt = Salt(pathlib.Path(work))
        if words[0] == "--answer":
            for line in sys.stdin:
                files = json.loads(line)["files"]
                print(json.dumps({"files": files, "salt": salt.answer(files)}), flush=True)
            return
        first, count, step = [*map(int, words), 1][:3]
        for seed in range(first, first + count * step, step):
            files = text(Tree(seed).files())
            print(json.dumps({"seed": seed, "files": files, "salt": salt.answer(files)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
