dir=$(mktemp -d) || exit 1
log=$dir/log watcher=
trap '[ -z "$watcher" ] || kill "$watcher" 2>/dev/null; rm -rf -- "$dir"' EXIT
trap 'exit 143' TERM HUP INT
n=1
# Over all attempts: it needs longer to begin than a short wait for a lock takes.
{ sleep 1; holders; } >>"$dir/held" 2>/dev/null </dev/null &
watcher=$!
while :; do
  : >"$dir/held"
  { sh -c "$line" </dev/null; echo $? >"$dir/status"; } 2>&1 | tee -- "$log"
  status=$(cat "$dir/status")
  [ "$status" != 0 ] || exit 0
  grep -Eq 'LockNotAvailable|canceling statement due to lock timeout|DeadlockDetected|deadlock detected' "$log" || exit "$status"
  held=$(tail -n 1 "$dir/held")
  why="a lock was not to be had$within${held:+, held by $held}"
  [ "$n" -lt "$attempts" ] || { echo "gave up after $n attempts: $why" >&2; exit 1; }
  echo "attempt $n of $attempts: $why; once more in $pause s"
  sleep "$pause"
  n=$((n + 1)) pause=$((pause * 2))
  [ "$pause" -le 60 ] || pause=60
done
