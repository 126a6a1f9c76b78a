# What there is to say about the migrations of an application, said by the Python of its environment. Changes nothing.
#
#   now CONFIG                          at which revisions the database is, and the revisions of the working tree
#   later COMMIT RECURSIVE FOLDER...    the revisions of a commit that is not checked out; nothing of it is run
#   holders CONFIG                      line by line as time passes, who holds what others wait for
import ast
import os
import re
import subprocess
import sys
import time


def say(*words):
    print("\t".join(" ".join(str(word).split()) for word in words), flush=True)


def git(*words, text=""):
    command = ["git", "-c", "safe.directory=*", "-c", "core.quotePath=false", *words]
    return subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=True).stdout


# Files: their paths and their texts


def on_disk(folder, recursive):
    for top, folders, names in os.walk(folder):
        for path in (os.path.join(top, name) for name in names if name.endswith(".py")):
            with open(path, "rb") as file:
                yield path, file.read()
        if not recursive:
            return


def in_commit(commit, folder, recursive):
    names = git("ls-tree", "-z", "--name-only", *["-r"] * recursive, commit, folder + "/").decode().split("\0")
    names = [name for name in names if name.endswith(".py")]
    rest = git("cat-file", "--batch", text="".join(f"{commit}:./{name}\n" for name in names))
    for name in names:
        head, rest = rest.split(b"\n", 1)
        size = int(head.split()[-1])
        yield name, rest[:size]
        rest = rest[size + 1:]


# Revisions


def assigned(tree):
    for node in tree.body:
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            if isinstance(target, ast.Name) and getattr(node, "value", None) is not None:
                yield target.id, node.value


def several(value):
    return ",".join([value] if isinstance(value, str) else value or ())


def tell_revision(path, text):
    name = os.path.basename(path)
    if name.startswith(("__init__", ".#")):
        return
    try:
        tree = ast.parse(text)
        values = {key: value for key, value in assigned(tree)}
        known = {key: ast.literal_eval(values[key]) for key in
                 ("revision", "down_revision", "depends_on", "branch_labels") if key in values}
        title = (ast.get_docstring(tree) or "").strip().split("\n")[0]
        lists = [several(known.get(key)) for key in ("down_revision", "depends_on", "branch_labels")]
        say("revision", known["revision"], *lists, title)
    except KeyError:
        say("unreadable", path, "it names no revision")
    except (SyntaxError, ValueError, TypeError):
        say("unreadable", path, "its revision is not a plain text")


# The database, by alembic, in the way of the application


HOLDERS = """
SELECT DISTINCT h.pid, h.usename, h.application_name, h.state, round(extract(epoch FROM clock_timestamp() - h.xact_start))
FROM pg_stat_activity w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS b(pid)
JOIN pg_stat_activity h ON h.pid = b.pid
WHERE w.datname = current_database() AND w.wait_event_type = 'Lock' AND cardinality(pg_blocking_pids(h.pid)) = 0
"""


def ask(context, statement):
    connection = context.connection.connection
    cursor = connection.cursor()
    cursor.execute(statement)
    rows = cursor.fetchall()
    connection.rollback()
    return rows


def tell_database(revisions, context):
    say("database", context.dialect.name)
    for revision in [revisions] if isinstance(revisions, str) else revisions or ():
        say("at", revision)
    if context.dialect.name == "postgresql":
        for setting, in ask(context, "SELECT setting FROM pg_settings WHERE name = 'lock_timeout'"):
            say("lock_timeout", setting)
    return []


def tell_holders(revisions, context):
    while context.dialect.name == "postgresql":
        rows = ask(context, HOLDERS)
        if rows:
            say("; ".join(f"process {pid} ({user}, `{name}`, {state} for {seconds} s)" for pid, user, name, state, seconds in rows))
        time.sleep(0.3)
    return []


def in_environment(config, tell):
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    # Versions of alembic before 1.4 make their table even when they are only asked.
    MigrationContext._ensure_version_table = lambda *_, **__: None
    config = Config(config)
    script = ScriptDirectory.from_config(config)
    with EnvironmentContext(config, script, fn=tell, dont_mutate=True):
        script.run_env()
    return script


def now(config):
    script = in_environment(config, tell_database)
    folders = script.version_locations or [os.path.join(script.dir, "versions")]
    recursive = getattr(script, "recursive_version_locations", False)
    for folder in folders:
        folder = os.path.relpath(os.path.realpath(str(folder)), os.path.realpath("."))
        say("folder", folder, int(recursive))
        for path, text in sorted(on_disk(folder, recursive)):
            tell_revision(path, text)


def later(commit, recursive, *folders):
    try:
        git("cat-file", "-e", commit + "^{commit}")
    except (OSError, subprocess.CalledProcessError):
        return say("absent", f"commit {commit} is not fetched yet")
    for folder in folders:
        is_outside = folder.startswith("..") or os.path.isabs(folder)
        files = on_disk(folder, int(recursive)) if is_outside else in_commit(commit, folder, int(recursive))
        for path, text in files:
            tell_revision(path, text)


try:
    {"now": now, "later": later, "holders": lambda config: in_environment(config, tell_holders)}[sys.argv[1]](*sys.argv[2:])
except (Exception, SystemExit) as error:
    error = getattr(error, "orig", None) or error
    say("error", f"{type(error).__name__}: {error}")
