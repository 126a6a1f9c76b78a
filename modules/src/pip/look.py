# What of some requirements is not met, asked of the Python that is to meet them. Imports nothing that an unchanged
# environment would not have, and changes nothing.
import sys

# The directory that it runs in has no say in what is installed.
sys.path[:] = [path for path in sys.path if path]

import os
import re


def say(*words):
    print("\t".join(str(word).replace("\n", " ") for word in words))


try:
    from pip._vendor.packaging.requirements import Requirement
except ImportError:
    try:
        from packaging.requirements import Requirement
    except ImportError:
        say("blind")
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


OPTIONS = """-i --index-url --pypi-url --extra-index-url --no-index -f --find-links --no-binary --only-binary --prefer-binary
--require-hashes --pre --trusted-host --use-feature -c --constraint -r --requirement -e --editable --process-dependency-links
--always-unzip -Z --global-option --config-settings --hash""".split()


def is_option(line):
    word = re.split(r"[\s=]", line)[0]
    return word in OPTIONS or (not word.startswith("--") and word[:2] in OPTIONS)


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
            wanted.append((editable.group(1), True))
        elif not line.startswith("-"):
            line = re.split(r"\s--?[a-zA-Z]", line)[0].strip()
            (constraints if constraint else wanted).append((line, False))
        elif not is_option(line):
            say("invalid", line)


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
        wanted.append((next(words), True))
    else:
        wanted.append((word, False))

every = []
where = {} if target is None else {"path": [target]}
dists = {}
try:
    from importlib.metadata import distributions

    for dist in distributions(**where):
        name = dist.metadata["Name"]
        if name:
            dists.setdefault(name_of(name), dist)
            every.append((name_of(name), dist))
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
        every.append((name_of(dist.project_name), dist))
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


class Project:
    """A folder with sources, or an archive of them."""

    def __init__(self, path):
        self.path = os.path.realpath(path)
        self.name = self.version = None
        base = os.path.basename(self.path)
        stem = re.match(r"(.+?)-(\d[^-]*)(?:-.+)?(?:\.whl)$|(.+)-(\d[^-]*)(?:\.tar\.\w+|\.tgz|\.zip)$", base)
        if stem and not os.path.isdir(self.path):
            self.name, self.version = stem.group(1) or stem.group(3), stem.group(2) or stem.group(4)
        for name, pattern in (
            ("pyproject.toml", r"(?ms)^\[(?:project|tool\.poetry)\]$(?:(?!^\[).)*?^%s\s*=\s*[\"']([^\"']+)[\"']"),
            ("setup.cfg", r"(?ms)^\[metadata\]$(?:(?!^\[).)*?^%s\s*=\s*(?!attr:|file:)([^\s]+)"),
            ("setup.py", r"\b%s\s*=\s*[\"']([^\"']+)[\"']"),
        ):
            try:
                with open(os.path.join(self.path, name), encoding="utf-8") as stream:
                    text = stream.read(1000000)
            except (IOError, OSError, UnicodeError):
                continue
            for key in ("name", "version"):
                found = re.search(pattern % key, text)
                if found and not getattr(self, key):
                    setattr(self, key, found.group(1))
            say("reads", os.path.join(self.path, name))
        if not self.name:
            self.name = self.built()

    def built(self):
        for folder in (self.path, os.path.join(self.path, "src")):
            try:
                entries = sorted(os.listdir(folder))
            except OSError:
                continue
            for entry in entries:
                try:
                    with open(os.path.join(folder, entry, "PKG-INFO"), encoding="utf-8") as stream:
                        found = re.search(r"(?m)^Name: (.+)$", stream.read(100000))
                except (IOError, OSError, UnicodeError):
                    continue
                if entry.endswith(".egg-info") and found:
                    return found.group(1).strip()


def origin_of(dist):
    import json

    try:
        return json.loads(file_of(dist, "direct_url.json") or "{}")
    except ValueError:
        return {}


def is_within(dist, path):
    place = str(getattr(dist, "_path", "") or getattr(dist, "location", ""))
    return os.path.realpath(place).startswith(path + os.sep)


def from_path(project, name, editable):
    """The distribution that was installed from a path."""
    for key, dist in every:
        origin = origin_of(dist)
        info = origin.get("dir_info") or {}
        same = origin.get("url", "").startswith("file:") and path_of(origin["url"]) == project.path
        if same and bool(info.get("editable")) == editable and name in (None, key):
            return dist
        if not origin and name == key and is_within(dist, project.path) == editable:
            return dist
    return None


def path_of(url):
    try:
        from urllib.parse import unquote
    except ImportError:
        from urllib import unquote
    return os.path.realpath(unquote(re.sub(r"^file:(//[^/]*)?", "", url)))


def check_local(path, name, extras, editable):
    if not os.path.exists(path):
        say("reads", path)
        return say("nopath", path)
    project = Project(path)
    name = name or project.name
    if not name:
        return say("noname", path)
    dist = from_path(project, name_of(name), editable)
    if dist is None or (project.version and name_of(project.version) != name_of(version_of(dist))):
        there = dist or dists.get(name_of(name))
        return say("missing", name, "@ file://" + project.path, version_of(there) if there else "")
    met(name, extras, dist)


def met(name, extras, dist):
    seen.add((name_of(name), tuple(sorted(extras))) if name else ("", ()))
    if deps:
        follow(dist, extras)


ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tlz", ".tar.lz", ".tar.lzma")


def check(text, editable):
    url = None
    try:
        need = Requirement(text)
        name, url, extras, demand = need.name, need.url, list(need.extras), need.specifier
        if need.marker and not need.marker.evaluate({"extra": ""}):
            return
        if editable and not url:
            raise ValueError("a directory")
    except Exception:
        bare = re.split(r"\s;|;\s", text)[0].strip()
        egg = re.search(r"[#&]egg=([\w.-]+)(?:\[([^\]]*)\])?", bare)
        name, demand = egg.group(1) if egg else None, None
        place, _, fragment = bare.partition("#")
        inner = re.match(r"(.*?)\[([^\]]*)\]$", place)
        extras = (inner and inner.group(2)) or (egg and egg.group(2)) or ""
        extras = [extra.strip() for extra in extras.split(",") if extra.strip()]
        place = inner.group(1) if inner else place
        is_path = os.sep in place or place.startswith(".") or place.lower().endswith(ARCHIVES)
        if "://" not in place and not place.startswith("file:"):
            if not is_path and not editable:
                return say("invalid", text)
            path = os.path.join(os.getcwd(), os.path.expanduser(place))
            return check_local(path, name, extras, editable)
        url = place + ("#" + fragment if fragment else "")
    if url and url.startswith("file:"):
        inside = re.search(r"[#&]subdirectory=([^&]+)", url)
        path = path_of(url.partition("#")[0])
        return check_local(os.path.join(path, inside.group(1)) if inside else path, name, extras, editable)
    if url:
        dist = from_url(url, name_of(name) if name else None)
        if dist is None:
            return missing(name or url, "@ " + url if name else "", None)
    else:
        dist = dists.get(name_of(name))
        if dist is None or not demand.contains(version_of(dist), prereleases=True):
            return missing(name, str(demand), dist)
    met(name, extras, dist)


for text, editable in wanted:
    check(text, editable)
names = set(key for key, _ in seen)
for text, _ in constraints:
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
try:
    from importlib.util import find_spec

    if find_spec("pip") is None:
        say("nopip")
except ImportError:
    pass
say("python", "%d.%d.%d" % sys.version_info[:3])
