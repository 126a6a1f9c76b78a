"""What real Salt makes of a tree, asked inside of this process: `pip install salt==3008.3`, Python 3.11."""

import ast
import copy
import logging
import pathlib
import warnings

warnings.simplefilter("ignore")
import salt.config  # noqa: E402
import salt.state  # noqa: E402
import salt.utils.requisite  # noqa: E402

TARGET = "alpha"
# What Salt notes for itself while it compiles.
INTERNAL = {"__env__", "__orchestration_jid__", "__prereq__", "__prerequiring__", "name_order"}

# How the node is called that stands for a chunk's run in test mode.
TRIAL = "_|-__prereq_test__"


class Compiled(Exception):
    """Ends a run at the place where the first state would be called."""


def with_mod_watch():
    """The names under which Salt's state modules answer to `watch`, whether or not this machine can load them."""
    found = set()
    for path in (pathlib.Path(salt.state.__file__).parent / "states").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        if "mod_watch" not in source:
            continue
        names = {path.stem}
        for node in ast.parse(source).body:
            targets = [target.id for target in getattr(node, "targets", []) if isinstance(target, ast.Name)]
            if "__virtualname__" in targets:
                names = {node.value.value}
            if "mod_watch" in targets or getattr(node, "name", None) == "mod_watch":
                found |= {name + ".mod_watch" for name in names}
    return found


class Rising(dict):
    """A set that keeps the order in which it was filled."""

    def add(self, item):
        self.setdefault(item)


class Falling(Rising):
    """The same the other way around."""

    __iter__ = dict.__reversed__


# Salt keeps what a requisite means in sets. Their order is left open by Python, and with it some of Salt's answers.
ORDERS = [Rising, Falling]


class Oracle:
    """Salt without a master; `work` is a folder for what it writes."""

    def __init__(self, work, grains):
        logging.disable(logging.CRITICAL)
        self.mod_watch = with_mod_watch()
        self.options = salt.config.minion_config("/nonexistent")
        self.options.update(
            id=TARGET,
            grains=grains,
            file_client="local",
            root_dir=str(work),
            autoload_dynamic_modules=False,
            fileserver_list_cache_time=0,
        )
        for name in ("cachedir", "pki_dir", "sock_dir", "extension_modules", "log_file", "conf_file"):
            self.options[name] = str(work / name)

    def compile(self, root, target=TARGET):
        """The answer for a root."""
        with self.open(root, target) as high_state:
            return answer(high_state)

    def open(self, root, target=TARGET):
        """Salt's compiler for the folders `states` and, if there is one, `pillar` of a root."""
        options = copy.deepcopy(self.options)
        options["id"] = options["grains"]["id"] = target
        options["file_roots"] = {"base": [str(root / "states")]}
        options["pillar_roots"] = {"base": [str(root / "pillar")]}
        no_pillar = None if (root / "pillar").exists() else {"no": "pillar"}
        high_state = salt.state.HighState(options, initial_pillar=no_pillar)
        high_state.state.states = self.mod_watch
        high_state.state.call_chunks = stop
        return high_state


def answer(high_state, order=Rising):
    """The low chunks of a whole top file, or why Salt refuses it."""
    salt.utils.requisite.set = order
    high_state.building_highstate = type(high_state.building_highstate)()
    high_state.iorder = 10000
    high_state.avail = salt.state.LazyAvailStates(high_state)
    high_state.push_active()
    try:
        told = high_state.call_highstate()
    except Compiled as compiled:
        found = edges(high_state.state.dependency_dag.dag)
        return {"low": low(compiled.args[0])} | ({"edges": found} if found else {})
    except Exception as error:  # noqa: BLE001 (whatever is wrong, Salt breaks down over it)
        return {"refused": [repr(error)], "broken": True}
    finally:
        high_state.pop_active()
    if isinstance(told, dict):
        comment = next(iter(told.values()))["comment"]
        return {"low": []} if comment == "No states found for this minion" else {"refused": [comment]}
    return {"refused": told}


def stop(chunks, **_):
    raise Compiled(chunks)


def low(chunks):
    """The chunks without what is internal; names as text. Of one that `prereq` makes run twice, the trial is left out."""
    tags = [tuple(chunk[key] for key in ("state", "fun", "__id__", "name")) for chunk in chunks]
    last = {tag: place for place, tag in enumerate(tags)}
    kept = [chunk for place, chunk in enumerate(chunks) if last[tags[place]] == place]
    return [
        plain({key: value for key, value in chunk.items() if key not in INTERNAL})
        | {"name": str(chunk["name"]), "order": float(chunk["order"])}
        for chunk in kept
    ]


def edges(graph):
    """What the requisites of all chunks mean: `b requires a`, in a line of text each. Of `listen` the graph knows nothing."""
    named = {
        (source, node, kind.value)
        for node in graph.nodes
        if not node.endswith(TRIAL)
        for source, _, kind in graph.in_edges(node, keys=True)
    }
    # What a `prereq` names comes behind the one that has it: an edge that nobody has written.
    backwards = {(node, source.removesuffix(TRIAL), "require") for source, node, kind in named if kind == "prereq"}
    return sorted(
        "%s: %s %s" % (identity(graph.nodes[node]["chunk"]), kind, identity(graph.nodes[source]["chunk"]))
        for source, node, kind in named - backwards
    )


def identity(chunk):
    return "%(state)s.%(fun)s %(__id__)s (%(name)s)" % chunk


def plain(value):
    """As JSON can say it."""
    if isinstance(value, dict):
        return {str(plain(key)): plain(value) for key, value in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, set):
        return {"__set__": sorted(map(plain, value))}
    if isinstance(value, bytes):
        return {"__bytes__": value.decode("latin-1")}
    return value
