log=$(mktemp) || exit 1
trap 'rm -f -- "$log" "$log.held" "$log.status"' EXIT
trap 'exit 143' TERM HUP INT
n=1
while :; do
  { sleep 1; holders; } >"$log.held" 2>/dev/null </dev/null &
  watcher=$!
  { sh -c "$line" </dev/null; echo $? >"$log.status"; } 2>&1 | tee -- "$log"
  kill "$watcher" 2>/dev/null; wait "$watcher" 2>/dev/null
  status=$(cat "$log.status")
  [ "$status" != 0 ] || exit 0
  grep -Eq 'LockNotAvailable|lock timeout|DeadlockDetected|deadlock detected' "$log" || exit "$status"
  held=$(tail -n 1 "$log.held")
  why="a lock was not to be had$within${held:+, held by $held}"
  [ "$n" -lt "$attempts" ] || { echo "gave up after $n attempts: $why" >&2; exit 1; }
  echo "attempt $n of $attempts: $why; once more in $pause s"
  sleep "$pause"
  n=$((n + 1)) pause=$((pause * 2))
  [ "$pause" -le 60 ] || pause=60
done
