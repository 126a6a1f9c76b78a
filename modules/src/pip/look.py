# What of some requirements is not met, asked of the Python that is to meet them. Imports nothing that an unchanged
# environment would not have, and changes nothing.
import os
import re
import sys


def say(*words):
    print("\t".join(str(word).replace("\n", " ") for word in words))


try:
    from pip._vendor.packaging.requirements import Requirement
except ImportError:
    try:
        from packaging.requirements import Requirement
    except ImportError:
        say("nopip")
        sys.exit()

target, wanted, constraints, deps, managed = None, [], [], True, True


def name_of(text):
    return re.sub(r"[-_.]+", "-", text).lower()


def joined(text):
    line = ""
    for raw in text.splitlines():
        if raw.endswith("\\") and not raw.lstrip().startswith("#"):
            line += raw[:-1].rstrip() + " "
            continue
        yield line + raw
        line = ""
    yield line


def read(path, text, constraint, depth=0):
    base = os.path.dirname(os.path.abspath(path))
    for line in joined(text):
        line = re.sub(r"(^|\s+)#.*$", "", line).strip()
        line = re.sub(r"\$\{([A-Z0-9_]+)\}", lambda m: os.environ.get(m.group(1), m.group(0)), line)
        include = re.match(r"(-r|--requirement|-c|--constraint)(?:\s*=\s*|\s*)(\S.*)", line)
        editable = re.match(r"(?:-e|--editable)(?:\s*=\s*|\s+)(\S.*)", line)
        if not line:
            continue
        if include and depth < 20:
            other = os.path.normpath(os.path.join(base, include.group(2).strip()))
            say("reads", other)
            load(other, constraint or include.group(1) in ("-c", "--constraint"), depth + 1)
        elif editable:
            wanted.append((editable.group(1), base))
        elif not line.startswith("-"):
            line = re.split(r"\s--?[a-zA-Z]", line)[0].strip()
            (constraints if constraint else wanted).append((line, base))


def load(path, constraint=False, depth=0):
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except (IOError, OSError):
        say("nofile", path)
        return
    read(path, text, constraint, depth)


words = iter(sys.argv[1:])
for word in words:
    if word == "-r":
        path = next(words)
        if path == "-":
            read(os.path.join(os.getcwd(), "-"), sys.stdin.read(), False)
        else:
            load(path)
    elif word == "-t":
        target = next(words)
    elif word == "-n":
        deps = False
    elif word == "-b":
        managed = False
    elif word == "-e":
        wanted.append((next(words), os.getcwd()))
    else:
        wanted.append((word, os.getcwd()))

where = {} if target is None else {"path": [target]}
dists = {}
try:
    from importlib.metadata import distributions

    for dist in distributions(**where):
        name = dist.metadata["Name"]
        if name:
            dists.setdefault(name_of(name), dist)
    version_of = lambda dist: dist.version
    requires_of = lambda dist: dist.requires or []
    file_of = lambda dist, name: dist.read_text(name)
except ImportError:
    try:
        from pip._vendor import pkg_resources
    except ImportError:
        import pkg_resources
    for dist in pkg_resources.WorkingSet([target] if target else None):
        dists[name_of(dist.project_name)] = dist
    version_of = lambda dist: dist.version
    requires_of = lambda dist: [str(r) for r in dist.requires()]
    file_of = lambda dist, name: dist.get_metadata(name) if dist.has_metadata(name) else None


def plain(url):
    return re.sub(r"(\.git)?/*$", "", re.sub(r"//[^/@]*@", "//", url))


def from_url(url, name):
    match = re.match(r"(?:(git|hg|svn|bzr)\+)?([^#]+)", url)
    kind, rest = match.groups()
    revision = None
    if kind and "@" in rest.split("/")[-1]:
        rest, revision = rest.rsplit("@", 1)
    for key, dist in dists.items():
        if name and key != name:
            continue
        text = file_of(dist, "direct_url.json")
        if not text:
            if name:
                return dist
            continue
        import json

        origin = json.loads(text)
        if plain(origin["url"]) != plain(rest):
            continue
        info = origin.get("vcs_info")
        if info and revision:
            if info.get("requested_revision") != revision and not info.get("commit_id", "").startswith(revision):
                continue
        return dist
    return None


def missing(name, demand, dist):
    say("missing", name, demand, version_of(dist) if dist else "")


seen = set()


def follow(dist, extras):
    for text in requires_of(dist):
        try:
            need = Requirement(text)
        except Exception:
            continue
        if need.marker and not any(need.marker.evaluate({"extra": extra}) for extra in extras or [""]):
            continue
        key = name_of(need.name)
        if (key, tuple(sorted(need.extras))) in seen:
            continue
        seen.add((key, tuple(sorted(need.extras))))
        if key not in dists:
            missing(need.name, str(need.specifier), None)
        else:
            follow(dists[key], list(need.extras))


def check(text, base):
    url = None
    try:
        need = Requirement(text)
        name, url, extras, demand = need.name, need.url, list(need.extras), need.specifier
        if need.marker and not need.marker.evaluate({"extra": ""}):
            return
    except Exception:
        bare = text.split(";")[0].strip()
        egg = re.search(r"[#&]egg=([\w.-]+)", bare)
        name, extras, demand = egg.group(1) if egg else None, [], None
        path = re.match(r"([^#\[]*)", bare).group(1)
        url = bare if "://" in bare else "file://" + os.path.realpath(os.path.join(base, path))
    if url:
        dist = from_url(url, name_of(name) if name else None)
        if dist is None:
            return missing(name or url, "@ " + url if name else "", None)
    else:
        dist = dists.get(name_of(name))
        if dist is None or not demand.contains(version_of(dist), prereleases=True):
            return missing(name, str(demand), dist)
    seen.add((name_of(name), tuple(sorted(extras))) if name else ("", ()))
    if deps:
        follow(dist, extras)


for text, base in wanted:
    check(text, base)
names = set(key for key, _ in seen)
for text, base in constraints:
    try:
        need = Requirement(text)
    except Exception:
        continue
    dist = dists.get(name_of(need.name))
    if name_of(need.name) in names and dist and (not need.marker or need.marker.evaluate({"extra": ""})):
        if not need.specifier.contains(version_of(dist), prereleases=True):
            missing(need.name, str(need.specifier), dist)


def breaks_system_packages():
    if os.environ.get("PIP_BREAK_SYSTEM_PACKAGES", "").lower() in ("1", "true", "yes", "on"):
        return True
    home = os.path.expanduser("~")
    for path in ("/etc/pip.conf", "/etc/xdg/pip/pip.conf", home + "/.pip/pip.conf", home + "/.config/pip/pip.conf"):
        try:
            text = open(path).read()
        except (IOError, OSError):
            continue
        if re.search(r"(?mi)^\s*break[-_]system[-_]packages\s*[=:]\s*(1|true|yes|on)\s*$", text):
            return True
    return False


if managed and target is None and sys.prefix == getattr(sys, "base_prefix", sys.prefix):
    import sysconfig

    folder = sysconfig.get_path("stdlib")
    if os.path.exists(os.path.join(folder, "EXTERNALLY-MANAGED")) and not breaks_system_packages():
        say("managed", folder)
say("python", "%d.%d.%d" % sys.version_info[:3])
