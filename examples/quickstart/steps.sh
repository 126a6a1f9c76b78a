# How the demos tell what they do, and hold it against what is meant to happen. For bash; sourced by both of them.
#
#   step TITLE                           begins a step
#   shown COMMAND…                       prints a command as a person would type it, and runs it
#   kstate EXIT WORD…                    runs kstate, checks its exit code, and keeps its report for the checks below
#   check TEXT GOT WANTED                one thing that has to be so
#   count OUTCOME, ids OUTCOME, fact KEY what the last report says
#   summary                              ends the demo: 0 if everything was as stated

started=$SECONDS
steps=0 checks=0
failures=()

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' dim=$'\e[2m' plain=$'\e[0m'
else
    bold='' green='' red='' dim='' plain=''
fi

step() {
    steps=$((steps + 1))
    printf '\n%s%d. %s%s\n' "$bold" "$steps" "$1" "$plain"
}

shown() {
    printf '%s$ %s%s\n' "$dim" "$*" "$plain"
    "$@"
}

check() {
    checks=$((checks + 1))
    if [ "$2" = "$3" ]; then
        printf '%s   ok%s  %s\n' "$green" "$plain" "$1"
    else
        printf '%s   NOT AS STATED%s  %s\n      got:    %s\n      wanted: %s\n' "$red" "$plain" "$1" "${2//$'\n'/, }" "${3//$'\n'/, }"
        failures+=("step $steps: $1")
    fi
}

# `kstate_options` are the words every command has. An apply runs once, and its report is kept; a diff changes nothing,
# so it runs a second time for people.
kstate() {
    local wanted=$1 got=0 began=$SECONDS
    shift
    printf '%s$ kstate %s%s\n' "$dim" "$*" "$plain"
    if [ "$1" = diff ]; then "$kstate_binary" "${kstate_options[@]}" "$@" </dev/null || :; fi
    "$kstate_binary" "${kstate_options[@]}" --format json "$@" </dev/null >"$work/report.json" || got=$?
    if [ "$1" = apply ]; then
        printf '   %s changed, %s unchanged, %s failed, %s skipped; %s s\n' "$(count changed)" "$(count unchanged)" \
            "$(count failed)" "$(count skipped)" $((SECONDS - began))
        changes
    fi
    reasons
    check "kstate $1 ends with $wanted" "$got" "$wanted"
}

# All questions to the report go through here: `r` is the report, `states` its states.
ask_report() {
    python3 - "$work/report.json" "$@" <<PYTHON
import json, sys
try:
    r = json.load(open(sys.argv[1]))
except ValueError as e:
    sys.exit(f'      the report is not JSON: {e}')
targets = r['targets'].values()
states = [state for target in targets for state in target.get('states', [])]
$query
PYTHON
}
count() { query='print(sum(s["outcome"] == sys.argv[2] for s in states))' ask_report "$1"; }
ids() { query='print("\n".join(sorted(s["id"] for s in states if s["outcome"] == sys.argv[2])))' ask_report "$1"; }
fact() { query='print(*[t.get(sys.argv[2]) for t in targets])' ask_report "$1"; }
# All text of one state's changes, to look something up in it.
changes_of() { query='print(json.dumps([s["changes"] for s in states if s["id"] == sys.argv[2]]))' ask_report "$1"; }
changes() {
    query='for s in states:
    if s["outcome"] == "changed": print("   changed ", s["function"], s["id"])' ask_report
}
reasons() {
    query='for t in targets:
    if t.get("error"): print("   error:", t["error"])
    for e in t.get("errors", []): print("   error:", e)
for s in states:
    if s["outcome"] == "failed": print("   failed: ", s["function"], s["id"], "--", s["reason"])' ask_report
}

summary() {
    printf '\n%s%d steps, %d checks, %d not as stated; %d s%s\n' "$bold" "$steps" "$checks" ${#failures[@]} \
        $((SECONDS - started)) "$plain"
    [ ${#failures[@]} = 0 ] || { printf '   %s\n' "${failures[@]}"; return 1; }
}
