# How the demos tell what they do, and hold it against what is meant to happen. For bash; sourced by both of them.
#
#   step TITLE                           begins a step
#   shown COMMAND…                       prints a command as a person would type it, and runs it
#   kstate EXIT WORD…                    runs kstate, checks its exit code, and keeps its report for the checks below
#   told EXIT WORD…                      likewise, and keeps what it says to people; `who=NAME told …`: somebody runs it
#   says TEXT PART                       a check: it has said that
#   check TEXT GOT WANTED                one thing that has to be so
#   count OUTCOME, ids OUTCOME, fact KEY what the last report says
#   summary                              ends the demo: 0 if everything was as stated

started=$SECONDS
steps=0 checks=0
failures=()

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    colours=1 bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' dim=$'\e[2m' plain=$'\e[0m'
else
    colours=0 bold='' green='' red='' dim='' plain=''
fi

step() {
    steps=$((steps + 1))
    printf '\n%s%d. %s%s\n' "$bold" "$steps" "$1" "$plain"
}

# A command as a person would type it; `who=NAME` in front says who does, if that matters.
typed() {
    local word words=
    for word; do
        case $word in *' '*) word="'$word'" ;; esac
        words+=" $word"
    done
    printf '%s%s$%s%s\n' "$dim" "${who:-}" "$words" "$plain"
}

shown() {
    typed "$@"
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
    typed kstate "$@"
    if [ "$1" = diff ]; then
        run "$@"
        run "$@" --format json >"$work/report.json" 2>/dev/null || got=$?
    else
        run "$@" --format json >"$work/report.json" || got=$?
        made $((SECONDS - began))
    fi
    reasons
    check "kstate $1 ends with $wanted" "$got" "$wanted"
}
run() { "$kstate_binary" "${kstate_options[@]}" "$@" </dev/null; }

told() {
    local wanted=$1 got=0
    shift
    typed kstate "$@"
    USER=${who:-$(id -un)} CLICOLOR_FORCE=$colours run "$@" >"$work/told" 2>&1 || got=$?
    cat "$work/told"
    check "kstate $1 ends with $wanted" "$got" "$wanted"
}
says() { check "$1" "$(sed $'s/\e\\[[0-9;]*m//g' "$work/told" | grep -oF -m 1 -- "$2" | head -n 1)" "$2"; }

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
fact() { query='print(*[json.dumps(t.get(sys.argv[2])) for t in targets])' ask_report "$1"; }
# All text of one state's changes, to look something up in it.
changes_of() { query='print(json.dumps([s["changes"] for s in states if s["id"] == sys.argv[2]]))' ask_report "$1"; }
# What is worth saying of a state that is as declared.
remark_of() { query='print(*[s.get("remark") for s in states if s["id"] == sys.argv[2]])' ask_report "$1"; }
made() {
    printf '   %s changed, %s unchanged, %s failed, %s skipped; %s s\n' "$(count changed)" "$(count unchanged)" \
        "$(count failed)" "$(count skipped)" "$1"
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
