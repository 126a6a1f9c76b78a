#!/usr/bin/env python3
"""Random trees, each made from a number, and what Salt makes of them.

  trees.py FIRST COUNT [STEP]    one JSON document a line: seed, files, and Salt's answer; FIRST, FIRST + STEP, …

A tree whose answer hangs on the order of a Python set has `"unsettled": true`: Salt's own answer changes from run to run.
"""

import json
import pathlib
import random
import shutil
import sys
import tempfile

import yaml

FUNCTIONS = {
    "test": ["nop", "succeed_with_changes"],
    "file": ["managed", "absent", "directory"],
    "pkg": ["installed", "removed"],
    "service": ["running", "dead"],
    "cmd": ["run", "wait"],
    "user": ["present"],
    "cron": ["present"],
}
REQUISITES = [
    "require", "require_any", "watch", "watch_any", "onfail", "onfail_any", "onfail_all", "onchanges", "onchanges_any", "listen",
]  # fmt: skip
# Salt has no `require_any_in`: it is an argument like any other.
REVERSED = ["require_in", "watch_in", "onfail_in", "onchanges_in", "listen_in", "require_any_in"]
PREREQ = ["prereq", "prereq_in"]
USE = ["use", "use_in"]
FILES = {
    "a": "a.sls",
    "b": "b.sls",
    "web": "web/init.sls",
    "web.php": "web/php.sls",
    "web.php.fpm": "web/php/fpm.sls",
    "db.main": "db/main.sls",
}
IDS = [
    "alpha", "beta", "gamma", "delta", "nginx", "nginx-conf", "/etc/nginx.conf", "/etc/a b.conf", "foo[1]", "foo1", "it's",
    "x: y", "- dash", "#hash", "ünïcode", "UPPER", "upper", "true", "12", "0x1f", "null", "a.b", "test", "sls", "id", "file",
    "include_me", "{brace}", "tab\tbed", "q?mark", "long " * 20, "_under", "%percent", "2001-01-01", "~",
]  # fmt: skip
NAMES = ["alpha", "nginx", "shared", "/srv/one", "/srv/two", "foo1", "n 1", "zeta", "12"]


class Tree:
    """The tree of a seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        # Most trees are tame, so that they compile and their order is compared.
        self.wild = self.pick(0, 0, 0, 0, 0.01, 0.03)
        # Requisites that follow a rank make no cycle.
        self.ranked = self.chance(0.97)
        self.density = self.pick(0.1, 0.3, 0.6, 1)
        self.sls = self.random.sample(list(FILES), self.pick(1, 1, 2, 2, 3, 4, 6))
        self.states = self.declared()
        self.names = {state: self.pick(*NAMES) for state in self.states if self.chance(0.2)}
        self.rank = self.ranks()

    def declared(self):
        """(id, module) to (SLS, function)."""
        few = self.pick(2, 3, 4, 6, 8, 12, 20)
        ids = ["s%d" % number for number in range(few)]
        ids = self.random.sample(ids + IDS, few) if self.chance(0.5) else ids
        self.random.shuffle(ids)
        states = {}
        for id_ in ids:
            sls = self.pick(*self.sls)
            for module in self.random.sample(list(FUNCTIONS), self.pick(1, 1, 1, 1, 2, 3)):
                states[id_, module] = (sls, self.pick(*FUNCTIONS[module]))
        return states

    def ranks(self):
        """A place for each state; those of one id share it."""
        states = list(self.states)
        self.by_sls = self.chance(0.3)
        if self.by_sls:
            states.sort(key=lambda state: self.sls.index(self.states[state][0]), reverse=True)
        elif self.chance(0.5):
            self.random.shuffle(states)
        ids = list(dict.fromkeys(id_ for id_, _ in states))
        return {state: ids.index(state[0]) for state in states}

    def chance(self, share):
        return self.random.random() < share

    def odd(self):
        """Whether something goes wrong here."""
        return self.chance(self.wild)

    def pick(self, *choices):
        return self.random.choice(choices)

    def some(self, choices, most):
        return self.random.sample(choices, min(len(choices), self.random.randint(1, most)))

    def files(self):
        bodies = {sls: {} for sls in self.sls}
        for (id_, module), (sls, function) in self.states.items():
            body = bodies[sls].setdefault(id_, {})
            arguments = self.arguments(id_, module)
            if self.chance(0.15):
                arguments.insert(self.random.randrange(len(arguments) + 1), function)
                body[module] = arguments
            elif self.odd():
                body[module] = arguments
            else:
                body[module + "." + function] = None if self.odd() else arguments
        for body in bodies.values():
            for id_, modules in body.items():
                if list(modules.values()) == [[]] and "." in next(iter(modules)) and self.chance(0.5):
                    body[id_] = next(iter(modules))
            self.mistake(body)
            self.extend(body)
            self.exclude(body)
        top = self.includes(bodies)
        files = {FILES[sls]: text(self.shuffled(body)) for sls, body in bodies.items()}
        files["top.sls"] = text({"base": {"*": top}})
        return files

    def shuffled(self, body):
        """`include`, `extend` and `exclude` stand anywhere."""
        keys = list(body)
        if self.chance(0.5):
            self.random.shuffle(keys)
        return {key: body[key] for key in keys}

    def includes(self, bodies):
        """Lets SLS include others, and gives the top file's list."""
        named = []
        reached = set()
        for place, sls in enumerate(self.sls):
            others = self.sls if self.chance(0.1) else self.sls[place + 1 :]
            included = [other for other in others if other != sls and self.chance(0.5)]
            include = [self.included(sls, other) for other in included]
            if self.odd():
                include.append("missing")
            if include:
                bodies[sls]["include"] = include
            if self.chance(0.3) or sls not in reached and not self.odd():
                named.append(sls)
            reached.update(included)
        if self.chance(0.2):
            named.append(self.pick(self.sls[0][:-1] + "?", self.sls[0][:1] + "*", "[" + self.sls[0][:1] + "]*"))
        if self.odd():
            named.append("missing")
        return named or self.sls

    def included(self, sls, other):
        package, _, last = other.rpartition(".")
        at = sls.split(".") + ["init"] if FILES[sls].endswith("/init.sls") else sls.split(".")
        forms = [other, other]
        if ".".join(at[:-1]) == package:
            forms.append("." + last)
        if ".".join(at[:-2]) == package and len(at) > 1:
            forms.append(".." + last)
        if self.chance(0.1):
            forms += [other[:-1] + "?", {"base": other}]
        return self.pick(*forms)

    def arguments(self, id_, module):
        arguments = [{"name": self.names[id_, module]}] if (id_, module) in self.names else []
        if self.chance(0.12):
            arguments.append({"names": self.names_of_its_own()})
        if self.chance(0.2):
            arguments.append({"order": self.order()})
        for _ in range(self.pick(0, 0, 1, 2)):
            arguments.append(self.plain(id_))
        if self.chance(0.03):
            arguments.append({"text": "together", "more": 1, "require": []})
        for kinds, share in ((REQUISITES, 8), (REVERSED, 12), (PREREQ, 50), (USE, 16)):
            for kind in kinds:
                if self.chance(self.density / share):
                    arguments.append({kind: self.references(kind, id_, module)})
        self.random.shuffle(arguments)
        if len(arguments) > 1 and self.odd():
            arguments[0].update(arguments.pop())
        if self.odd():
            arguments.append(self.pick({}, 5, None, ["x"], {"require": "x"}, {"names": "x"}, "run", {"name": 5}))
        return arguments

    def plain(self, id_):
        return {self.pick("text", "mode", "user"): self.pick("x", 1, True, None, 1.5, ["a"], {"k": "v"}, id_, *NAMES)}

    def names_of_its_own(self):
        names = []
        for name in self.some(NAMES, 3):
            own = [{"text": "own"}, {"order": self.order()}, {"require": []}, {"name": "named"}]
            names.append({name: self.some(own, 2)} if self.chance(0.3) else name)
        return names

    def order(self):
        return self.pick(1, 2, 5, 0, -1, -20, 1.5, 10001, 10005.5, 20000, "first", "last", "7", "x", None, True, False)

    def references(self, kind, id_, module):
        references = [self.reference(kind, id_, module) for _ in range(self.pick(1, 1, 1, 2, 3))]
        if kind.endswith("_in") and self.chance(0.1):
            pairs = [pair for reference in references if isinstance(reference, dict) for pair in reference.items()]
            return {key: value for key, value in pairs if key != "sls" or self.odd()}
        return references

    def reference(self, kind, id_, module):
        """What an entry of a requisite names: mostly a state that comes before in rank, or behind if the kind asks for it."""
        rank, sls = self.rank[id_, module], self.states[id_, module][0]
        backwards = kind.endswith("_in")
        others = list(self.rank)
        if self.ranked and not self.odd():
            behind = kind in ("prereq", "use_in") or backwards and kind != "prereq_in"
            others = [other for other, place in self.rank.items() if (place > rank if behind else place < rank)]
        if not others:
            return {"sls": "no*"} if backwards or kind == "use" else {"test": None}
        other = self.pick(*others)
        id_, module = other
        forms = [{module: id_}] * 12 + [id_] * 2
        if not backwards and kind != "use":
            forms += [{"id": id_}] * 2
            if self.chance(0.1):
                forms = [{module: "[" + id_[:1] + "]" + id_[1:]}, {"id": id_[:-1] + "[" + id_[-1:] + "]"}]
            if self.chance(0.02):
                forms = [{module: id_[:-1] + "*"}, {"id": id_[:2] + "*"}, id_[:-1] + "?", {"test": "*"}]
        if self.chance(0.2 if self.by_sls else 0.01):
            inner = self.sls[self.sls.index(sls) + 1 :]
            forms = [{"sls": name} for name in inner] or forms
        if other in self.names and self.chance(0.2):
            forms = [{module: self.names[other]}, self.names[other]]
        if self.odd():
            forms = [{module: "missing"}, {"missing": id_}, {module + ".run": id_}, {module: 5}, {module: None}, 7, {}, ["x"], "n*"]
            forms += [{"sls": "missing"}, {module: [id_]}, {module: id_, "test": id_}, None, self.pick(*NAMES)]
        return self.pick(*forms)

    def mistake(self, body):
        if self.odd():
            body[self.pick(*self.states)[0]] = {"test.nop": []}
        if self.odd():
            body[self.pick(5, True, None, 1.5, "bare", "")] = self.pick({"test.nop": []}, "test.nop", "nop", [], None, 3, {})

    def extend(self, body):
        if not self.chance(0.2):
            return
        extend = {}
        for _ in range(self.pick(1, 1, 2, 3)):
            id_, module = self.pick(*self.states)
            key = self.pick(module, module, module + "." + self.pick(*FUNCTIONS[module]))
            changes = [
                {"text": "extended"},
                {"name": self.pick(*NAMES)},
                {"order": self.order()},
                {"names": self.names_of_its_own()},
                {"require": self.references("require", id_, module)},
                {"watch": self.references("watch", id_, module)},
                {"require_in": self.references("require_in", id_, module)},
                {"new": 1},
            ]
            changes = self.some(changes, 3)
            if key == module and self.chance(0.3):
                changes.append(self.pick(*FUNCTIONS[module]))
            extend.setdefault(id_, {})[key] = changes
        if self.odd():
            extend[self.pick(*NAMES, "missing")] = self.pick({"test": ["nop"]}, {"file": [{"text": "x"}]}, [], {})
        body["extend"] = extend if not self.odd() else self.pick([], "x", None)

    def exclude(self, body):
        if not self.chance(0.05):
            return
        id_, _ = self.pick(*self.states)
        exclude = self.some([id_, {"id": id_}, {"id": "no"}, {"sls": self.pick(*self.sls)}, {"sls": "web*"}, "none"], 2)
        body["exclude"] = exclude if not self.odd() else self.pick("a", {"id": id_}, [5], [{"id": id_, "sls": "a"}])


def text(data):
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)


def write(folder, files):
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def main(first, count, step=1):
    import oracle

    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        salt = oracle.Oracle(work, {"id": oracle.TARGET})
        with salt.open(work / "tree") as high_state:
            for seed in range(first, first + count * step, step):
                files = Tree(seed).files()
                write(work / "tree" / "states", files)
                answers = [oracle.answer(high_state, order) for order in oracle.ORDERS]
                line = {"seed": seed, "files": files, "salt": answers[0], "unsettled": answers[0] != answers[1]}
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
