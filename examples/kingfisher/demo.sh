#!/usr/bin/env bash
# Shows kstate on a real host: the server of Kingfisher Process is made, looked at, damaged, repaired and deployed to.
#
#   demo.sh [--pristine] [--keep]
#
#   --pristine   begin with a bare server, on which everything has to be installed (a minute longer)
#   --keep       leave the host running, and say how to reach it
#
# The host is a throw-away one on this machine (see tests/sandbox). Where the machine cannot give one, the quickstart is
# shown instead.
set -uo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
sandbox=$top/tests/sandbox/sandbox
flavour=full keep=
for word; do
    case $word in
        --pristine) flavour=pristine ;;
        --keep) keep=--keep ;;
        *) sed -n 's/^# \{0,1\}//p; /^set /q' "$0" >&2; exit 64 ;;
    esac
done

die() { printf 'demo: %s\n' "$1" >&2; exit 1; }

# `check` says in one line why there is no host; tools that are merely missing are installed by `setup`.
"$sandbox" setup || {
    status=$?
    [ $status = 3 ] || die 'the sandbox cannot be set up'
    echo 'The quickstart instead, on this machine itself:'
    exec "$here/../quickstart/demo.sh" $keep
}

command -v python3 >/dev/null || die "python3 is missing; this installs it: \`apt-get install python3\`"
work=$(mktemp -d)
name=kingfisher-process
up=
. "$here/../quickstart/steps.sh"

clean_up() {
    if [ -n "$up" ] && [ -n "$keep" ]; then
        printf '\nThe host stays. Try:\n'
        printf '   %s\n' \
            "ssh -F $ssh_config $name" \
            "curl -H 'Host: $site' http://$address/" \
            "$kstate_binary ${kstate_options[*]} diff ocdskingfisherprocess" \
            "$sandbox down $name     # ends it"
    elif [ -n "$up" ]; then
        "$sandbox" down $name
    fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

kstate_binary=${CARGO_TARGET_DIR:-$top/target}/debug/kstate
echo 'Building kstate …'
(cd "$top" && cargo build --quiet) || die 'kstate cannot be built'

owner=(--owner $$)
[ -z "$keep" ] || owner=()
address=$("$sandbox" up $name --flavour $flavour "${owner[@]}") || die "no host; if one is left from before: $sandbox down $name"
up=1
ssh_config=$("$sandbox" dir $name)/ssh_config
kstate_options=(--root "$here" --ssh-config "$ssh_config")
site=process.kingfisher.open-contracting.org

on_host() { "$sandbox" exec $name -- "$@"; }
by_hand() {
    printf '%sroot@%s# %s%s\n' "$dim" $name "$1" "$plain"
    on_host sh -c "$1"
}
get() { curl -sS --max-time 20 -H "Host: $site" "http://$address$1" 2>&1; }
post() {
    curl -sS --max-time 20 -H "Host: $site" -H 'Authorization: ApiKey example-only-api-key' "http://$address$1" "${@:2}" \
        --data-urlencode collection_source=scotland --data-urlencode 'collection_data_version=2019-12-19 10:00:00' 2>&1
}
post_item() {
    post /api/v1/submit/item/ --data-urlencode file_name=a.json --data-urlencode data_type=release \
        --data-urlencode "number=$1" --data-urlencode \
        "data={\"ocid\": \"ocds-213czf-$1\", \"id\": \"$1\", \"date\": \"2019-12-19T10:00:00Z\", \"tag\": [\"tender\"]}"
}
# One value of the JSON on standard input.
value() { python3 -c 'import json, sys; print(eval("j" + sys.argv[1], {"j": json.load(sys.stdin)}))' "$1" 2>&1; }
master() { on_host cat /run/uwsgi/app/ocdskingfisherprocess/pid; }
as_user() { on_host runuser -u ocdskfp -- sh -c "cd ~ocdskfp/ocdskingfisherprocess; . .ve/bin/activate; $1"; }

# The applications' code comes from repositories on the host's own side, as it reaches no network. They belong to root,
# and the application's user is told that this is meant so.
tar -C "$here" -cf - app make-repositories.sh | on_host sh -c '
    mkdir -p /srv/kingfisher && tar -C /srv/kingfisher -xf - && /srv/kingfisher/make-repositories.sh /srv/git &&
    for name in process views; do git config --system --add safe.directory "/srv/git/kingfisher-$name.git"; done
' || die 'no repositories can be laid'

echo "The host is $address ($flavour). Below, kstate stands for: $kstate_binary ${kstate_options[*]}"

## The steps
cd "$work" || die "there is no folder $work"

step 'Make the server'
kstate 0 apply ocdskingfisherprocess --yes
check 'no state failed' "$(count failed)" 0
check 'nothing was skipped but what asked for it' "$(count skipped)" 0
check 'it was not there before' "$([ "$(count changed)" -gt 20 ] && echo 'more than 20 changed')" 'more than 20 changed'
check 'the application answers through Apache' "$(get / | value '["version"]')" 1.0.0
check 'its database is migrated' "$(get / | value '["schema"]')" 3f0c2a9d41b7
check 'it stores an item' "$(post_item 1)" 'OCDS Kingfisher APIs V1 Submit'
all=$(($(count changed) + $(count unchanged)))

step 'Once more: nothing to do'
kstate 0 apply ocdskingfisherprocess --yes
check 'nothing changed' "$(count changed)" 0
check "all $all states are as declared" "$(count unchanged)" "$all"

step 'Look: nothing differs'
kstate 0 diff ocdskingfisherprocess
check 'no drift' "$(count drift)" 0
check 'one login' "$(fact logins)" 1

step 'Three things happen by hand'
by_hand "sed -i 's/rotate 12/rotate 2/' /etc/logrotate.d/kingfisher.conf"
by_hand "crontab -u ocdskfp -l | sed 's/^0 2 \* \* 5/0 4 * * */' | crontab -u ocdskfp -"
by_hand "runuser -u postgres -- psql -q -c 'REVOKE USAGE ON SCHEMA views FROM ocdskfpguest' ocdskingfisherprocess"

step 'Look: exactly these three differ'
kstate 2 diff ocdskingfisherprocess
delete_collections='cd /home/ocdskfp/ocdskingfisherprocess/; . .ve/bin/activate; python ocdskingfisher-process-cli delete-collections'
check 'the log rotation, the schedule and the privilege' "$(ids drift)" "$(printf '%s\n' \
    /etc/logrotate.d/kingfisher.conf "$delete_collections" kfp_postgres_readonlyuser_setup_schemas | sort)"

step 'Repair them'
kstate 0 apply ocdskingfisherprocess --yes
check 'three states changed' "$(count changed)" 3
check 'logs are kept for twelve weeks' "$(on_host grep -c 'rotate 12' /etc/logrotate.d/kingfisher.conf)" 1
check 'collections are deleted on Fridays' "$(on_host crontab -u ocdskfp -l | grep -c '^0 2 \* \* 5 .*delete-collections')" 1
check 'guests may look again' "$(on_host runuser -u postgres -- psql -XAt -c \
    "SELECT has_schema_privilege('ocdskfpguest', 'views', 'USAGE')" ocdskingfisherprocess)" t
kstate 0 diff ocdskingfisherprocess

step 'New commits arrive'
by_hand '/srv/kingfisher/make-repositories.sh /srv/git new-commits'
check 'the server still runs the old code' "$(get / | value '["version"]')" 1.0.0

step 'Workers of two kinds are at work, and somebody keeps a job in the crontab that is commented out'
for kind in process-redis-queue process-redis-queue process-redis-queue-collection-store-finished; do
    worker="cd ~ocdskfp/ocdskingfisherprocess/; . .ve/bin/activate; python ocdskingfisher-process-cli $kind --runforseconds 3000"
    on_host sh -c "setsid runuser -u ocdskfp -- sh -c '$worker' >/dev/null 2>&1 </dev/null &"
done
by_hand "{ echo '#0 4 * * * python ocdskingfisher-process-cli by-hand'; crontab -u ocdskfp -l; } | crontab -u ocdskfp -"
# Which kinds of workers run, by their arguments, and since when.
workers() { on_host sh -c "pgrep -u ocdskfp -fa '^python ocdskingfisher-process-cli ' | awk '{ print \$4 }' | sort -u | tr '\n' ' '"; }
oldest() {
    on_host sh -c "echo \$((\$(date +%s) - \$(ps -u ocdskfp -o etimes=,args= | grep ' [o]cdskingfisher-process-cli ' | sort -n |
        awk 'END { print \$1 }')))"
}
sleep 2
kinds=$(workers)
check 'two kinds of workers are at work' "$(echo $kinds | wc -w)" 2
crontab=$(on_host crontab -u ocdskfp -l | sha256sum)

step 'Look, and save it as a plan: the commits are listed'
kstate 2 diff ocdskingfisherprocess --out deploy.plan
checkout=/srv/git/kingfisher-process.git/home/ocdskfp/ocdskingfisherprocess/
for title in 'Say how much work is queued' 'Check the prefix of an ocid' \
    'Make room for the number of items of a collection' \
    'Count the items of a collection once, when it is complete' 'Release 1.1.0'; do
    check "\"$title\" is" "$(changes_of $checkout | grep -cF "$title")" 1
done
check 'and the migration that they bring' \
    "$(changes_of createdatabase-/home/ocdskfp/ocdskingfisherprocess/ | grep -cF '+8b6d5e27fa90 cached items count')" 1

step 'Ada has the token, so nobody else deploys'
who=ada told 0 token hold -t $name -m 'at work on the disks' --for 2h
who=robin told 1 apply --plan deploy.plan
says 'it says who has it, and since when' "the token is held by ada@$(uname -n), since "
says 'until when, and why' ' more: at work on the disks'
who=ada told 0 token release -t $name

step 'A sixth commit arrives: the plan of five is not carried out'
by_hand '/srv/kingfisher/make-repositories.sh /srv/git sixth-commit'
told 1 apply --plan deploy.plan
says 'it says what has moved' 'planned: revision: a0e98b9 -> 15bac0c (5 commits); now: revision: a0e98b9 -> '
says 'and that nothing was done' 'nothing is changed, on no host'
check 'the server still runs the old code' "$(get / | value '["version"]')" 1.0.0

step 'It changes requirements.txt, so it is held until somebody lets it pass'
told 1 apply ocdskingfisherprocess --yes
says 'it says which commit, and how to let it pass' \
    'Sign what is queued; `--accept requirements.txt` lets it pass'
check 'the server still runs the old code' "$(get / | value '["version"]')" 1.0.0
typed kstate diff ocdskingfisherprocess --accept requirements.txt '|' grep -B 1 -A 4 accepted
run diff ocdskingfisherprocess --accept requirements.txt | tee told | grep -B 1 -A 4 accepted
check 'kstate diff ends with 2' "${PIPESTATUS[0]}" 2
says 'accepted, it would pass' 'accepted: `requirements.txt` is changed by'

step 'It is taken back, and two people carry the plan out at once'
by_hand 'git --git-dir /srv/git/kingfisher-process.git update-ref refs/heads/master master~1'
before=$(master) began=$SECONDS
running=()
for who in ada robin; do
    typed kstate apply --plan deploy.plan
    USER=$who CLICOLOR_FORCE=$colours run apply --plan deploy.plan --format json >$who.json 2>$who.told &
    running+=($!)
done
unset who
wait "${running[0]}"; ends=$?
wait "${running[1]}"; ends+=" $?"
if [ "$ends" = '0 1' ]; then winner=ada loser=robin; else winner=robin loser=ada; fi
check 'one of them does it, the other does not' "$(tr ' ' '\n' <<<"$ends" | sort | xargs)" '0 1'
cp $loser.told told
cat told
says 'and is told who is at work' "the token is in use by $winner@$(uname -n), since "
cp $winner.json report.json
made $((SECONDS - began))
check 'code, reload and migration, with the workers away' "$(ids changed | tr '\n' ' ')" "$(printf '%s\n' \
    $checkout createdatabase-/home/ocdskfp/ocdskingfisherprocess/ ocdskfp-workers-paused ocdskfp-workers-stopped uwsgi |
    sort | tr '\n' ' ')"
check 'five changes were predicted, five happened' "$(fact prediction | value '["predicted"], j["happened"]')" '(5, 5)'
check 'each kind of worker is at work again' "$(workers)" "$kinds"
deployed=$(on_host sh -c "cd ~ocdskfp/ocdskingfisherprocess; find . -path ./.ve -prune -o -name '*.py' -printf '%T@\n'" |
    sort -n | tail -n 1 | cut -d. -f1)
check 'none of them is older than the code' "$([ "$(oldest)" -ge "$deployed" ] && echo none)" none
for id in ocdskfp-workers-current uwsgi-current; do
    remark_of $id | sed 's/^/   /'
    check "$id: the report says so, too" "$(remark_of $id | grep -cE '^none of its [0-9]+ processes is older than the code')" 1
done
check 'the crontab is what it was, byte for byte' "$(on_host crontab -u ocdskfp -l | sha256sum)" "$crontab"
check 'uWSGI was reloaded, not restarted' "$(master)" "$before"
kstate 0 diff ocdskingfisherprocess

step 'The application answers through Apache'
printf "%s\$ curl -H 'Host: %s' http://%s/%s\n" "$dim" "$site" "$address" "$plain"
get /
check 'with the new code' "$(get / | value '["version"]')" 1.1.0
check 'and the new schema' "$(get / | value '["schema"]')" 8b6d5e27fa90
check 'it stores an item' "$(post_item 2)" 'OCDS Kingfisher APIs V1 Submit'
check 'and takes the end of a collection' "$(post /api/v1/submit/end_collection_store/)" 'OCDS Kingfisher APIs V1 Submit'
as_user 'python ocdskingfisher-process-cli process-redis-queue --runforseconds 2'
as_user 'python ocdskingfisher-process-cli process-redis-queue-collection-store-finished --runforseconds 2'
check 'workers have checked both items' "$(get /api/v1/collections | value '[0]["checked"]')" 2
check 'and compiled them into a collection' "$(get /api/v1/collections | value '[1]["items"]')" 2
check 'strangers are refused' "$(curl -s -o /dev/null -w '%{http_code}' -H "Host: $site" -d '' "http://$address/api/v1/submit/item/")" 401

summary
