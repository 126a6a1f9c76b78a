# What there is to say about the migrations of an application, said by the Python of its environment. Changes nothing.
import ast
import os
import subprocess
import sys
import time


def say(*words):
    print("\t".join(" ".join(str(word).split()) for word in words), flush=True)


def git(*words, text=""):
    command = ["git", "-c", "core.quotePath=false", *words]
    return subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=True).stdout


def is_fetched(commit):
    try:
        git("cat-file", "-e", commit + "^{commit}")
    except (OSError, subprocess.CalledProcessError):
        say("absent", f"commit {commit} is not fetched yet")
        return False
    return True


# Paths are as seen from the directory of the application.
def texts(commit, paths):
    rest = git("cat-file", "--batch", text="".join(f"{commit}:./{path}\n" for path in paths))
    for path in paths:
        head, rest = rest.split(b"\n", 1)
        size = int(head.split()[-1])
        yield path, rest[:size]
        rest = rest[size + 1:]


def assigned(body):
    for node in body:
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            if isinstance(target, ast.Name) and getattr(node, "value", None) is not None:
                yield target.id, node.value


HOLDERS = """
SELECT DISTINCT h.pid, h.usename, h.application_name, h.state, round(extract(epoch FROM clock_timestamp() - h.xact_start))
FROM pg_stat_activity w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS b(pid)
JOIN pg_stat_activity h ON h.pid = b.pid
WHERE w.datname = current_database() AND w.wait_event_type = 'Lock' AND cardinality(pg_blocking_pids(h.pid)) = 0
"""


# Who holds what others wait for, line by line as time passes, for as long as the shell lives that has started it. `ask` takes a
# statement, outside of a transaction.
def tell_holders(ask):
    shell = os.getppid()
    while os.getppid() == shell:
        holders = [f"process {pid} ({user}, `{name}`, {state} for {seconds} s)"
                   for pid, user, name, state, seconds in ask(HOLDERS)]
        if holders:
            say("; ".join(holders))
        time.sleep(0.1)


# In milliseconds.
def tell_timeouts(ask):
    for name, setting in ask("SELECT name, setting FROM pg_settings WHERE name IN ('lock_timeout', 'deadlock_timeout')"):
        say("timeout", name, setting)


def tell_error(error):
    error = getattr(error, "orig", None) or error
    say("error", f"{type(error).__name__}: {error}")


