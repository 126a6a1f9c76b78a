#   now                               which migrations are applied, which are due; run by `manage.py shell`
#   holders                           who holds what others wait for; likewise
#   later OLD NEW [APP:FOLDER]...     what a commit that is not checked out brings; nothing of it is run


def asking(connection):
    def ask(statement):
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()
    return ask


def tell_folders(apps):
    import importlib

    from django.db.migrations.loader import MigrationLoader

    for app in sorted(apps):
        module = importlib.import_module(MigrationLoader.migrations_module(app)[0])
        folder = os.path.relpath(os.path.realpath(list(module.__path__)[0]), os.path.realpath("."))
        if not folder.startswith(".."):
            say("folder", app, folder)


# Rows of applied migrations whose files are gone. A later one than all whose files are there is from newer code; the
# others are left over from what was squashed.
def tell_strays(recorder, files):
    rows = list(recorder.migration_qs.values_list("app", "name", "applied")) if recorder.has_table() else []
    newest = {}
    for app, name, when in rows:
        if (app, name) in files:
            newest[app] = max(when, newest.get(app, when))
    apps = {app for app, _ in files}
    replaced = {tuple(key) for migration in files.values() for key in migration.replaces}
    for app, name, when in rows:
        if (app, name) not in files:
            is_last = app not in newest or when > newest[app]
            say("stray", app, name, int(is_last and app in apps and (app, name) not in replaced))


def now(connection):
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    loader = executor.loader
    loader.check_consistent_history(connection)
    say("database", connection.vendor)
    if connection.vendor == "postgresql":
        tell_timeouts(asking(connection))
    tell_folders(loader.migrated_apps)
    for app, names in sorted(loader.detect_conflicts().items()):
        say("conflict", app, ", ".join(sorted(names)))
    for migration, _ in executor.migration_plan(loader.graph.leaf_nodes(), clean_start=True):
        key = migration.app_label, migration.name
        say("applied" if key in loader.applied_migrations else "due", *key)
    tell_strays(executor.recorder, loader.disk_migrations)


def holders(connection):
    if connection.vendor == "postgresql":
        tell_holders(asking(connection))


def literals(value):
    for item in getattr(value, "elts", []):
        try:
            yield ".".join(ast.literal_eval(item))
        except (ValueError, TypeError):
            # Of another kind: a setting names the app.
            pass


def tell_migration(app, name, text):
    values = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and node.name == "Migration":
            values = dict(assigned(node.body))
    say("brings", app, name, *[",".join(literals(values.get(key))) for key in ("dependencies", "replaces")])


def later(old, new, *known):
    if not is_fetched(new):
        return
    known = {folder: app for app, folder in (pair.split(":", 1) for pair in known)}
    changed = git("diff", "-z", "--name-status", "--no-renames", "--relative", old, new).decode().split("\0")
    files = {}
    for kind, path in zip(changed[::2], changed[1::2]):
        folder, name = os.path.split(path)
        is_package = folder in known or os.path.basename(folder) == "migrations"
        if is_package and name.endswith(".py") and not name.startswith(("_", "~")):
            app = known.get(folder, os.path.basename(os.path.dirname(folder)))
            files[path] = kind, app, name[:-len(".py")]
    # On the way back to an older commit a file is lost, and elsewhere it has been squashed.
    is_back = git("merge-base", old, new).decode().strip() == new
    for kind, app, name in files.values():
        if kind == "D":
            say("loses" if is_back else "drops", app, name)
    for path, text in texts(new, [path for path, (kind, _, _) in files.items() if kind == "A"]):
        tell_migration(*files[path][1:], text)


try:
    if "KSTATE_ASK" in os.environ:
        from django.db import connections
        {"now": now, "holders": holders}[os.environ["KSTATE_ASK"]](connections[os.environ["KSTATE_DATABASE"]])
    else:
        later(*sys.argv[2:])
except (Exception, SystemExit) as error:
    tell_error(error)
