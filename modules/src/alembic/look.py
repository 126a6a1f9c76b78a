#   now CONFIG                          at which revisions the database is, and the revisions of the working tree
#   later COMMIT RECURSIVE FOLDER...    the revisions of a commit that is not checked out; nothing of it is run
#   holders CONFIG                      who holds what others wait for


def on_disk(folder, recursive):
    for top, folders, names in os.walk(folder):
        for path in (os.path.join(top, name) for name in names if name.endswith(".py")):
            with open(path, "rb") as file:
                yield path, file.read()
        if not recursive:
            return


def in_commit(commit, folder, recursive):
    paths = git("ls-tree", "-z", "--name-only", *["-r"] * recursive, commit, folder + "/").decode().split("\0")
    return texts(commit, [path for path in paths if path.endswith(".py")])


def several(value):
    return ",".join([value] if isinstance(value, str) else value or ())


def tell_revision(path, text):
    if os.path.basename(path).startswith(("__init__", ".#")):
        return
    try:
        tree = ast.parse(text)
        values = dict(assigned(tree.body))
        known = {key: ast.literal_eval(values[key]) for key in
                 ("revision", "down_revision", "depends_on", "branch_labels") if key in values}
        title = (ast.get_docstring(tree) or "").strip().split("\n")[0]
        lists = [several(known.get(key)) for key in ("down_revision", "depends_on", "branch_labels")]
        say("revision", known["revision"], *lists, title)
    except KeyError:
        say("unreadable", path, "it names no revision")
    except (SyntaxError, ValueError, TypeError):
        say("unreadable", path, "its revision is not a plain text")


def asking(context):
    connection = context.connection.connection

    def ask(statement):
        cursor = connection.cursor()
        cursor.execute(statement)
        rows = cursor.fetchall()
        connection.rollback()
        return rows
    return ask


def tell_database(revisions, context):
    say("database", context.dialect.name)
    for revision in [revisions] if isinstance(revisions, str) else revisions or ():
        say("at", revision)
    if context.dialect.name == "postgresql":
        tell_timeouts(asking(context))
    return []


def watch(revisions, context):
    if context.dialect.name == "postgresql":
        tell_holders(asking(context))
    return []


# By alembic, in the way of the application.
def in_environment(config, tell):
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    # Older versions of alembic make their table even when they are only asked.
    MigrationContext._ensure_version_table = lambda *_, **__: None
    config = Config(config)
    script = ScriptDirectory.from_config(config)
    with EnvironmentContext(config, script, fn=tell, dont_mutate=True):
        script.run_env()
    return script


def now(config):
    script = in_environment(config, tell_database)
    folders = script.version_locations or [os.path.join(script.dir, "versions")]
    recursive = int(getattr(script, "recursive_version_locations", False))
    for folder in folders:
        folder = os.path.relpath(os.path.realpath(str(folder)), os.path.realpath("."))
        say("folder", folder, recursive)
        for path, text in sorted(on_disk(folder, recursive)):
            tell_revision(path, text)


def later(commit, recursive, *folders):
    if is_fetched(commit):
        for folder in folders:
            files = on_disk(folder, int(recursive)) if folder.startswith("..") else in_commit(commit, folder, int(recursive))
            for path, text in files:
                tell_revision(path, text)


def holders(config):
    in_environment(config, watch)


try:
    {"now": now, "later": later, "holders": holders}[sys.argv[1]](*sys.argv[2:])
except (Exception, SystemExit) as error:
    tell_error(error)
