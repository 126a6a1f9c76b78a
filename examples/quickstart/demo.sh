#!/usr/bin/env bash
# Shows kstate on this machine as the current user: over an sshd of its own, on a loopback port, without root.
#
#   demo.sh [--keep]      with --keep, the sshd and the folder stay, and the last lines say how to use and to end them
set -uo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
keep=
for word; do
    case $word in
        --keep) keep=1 ;;
        *) sed -n 's/^# \{0,1\}//p; /^set /q' "$0" >&2; exit 64 ;;
    esac
done

die() { printf 'demo: %s\n' "$1" >&2; exit 1; }

missing() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
        die "$2 is missing; on Debian and its kin, this installs it: \`sudo apt-get install $1\`"
    echo "Installing $1"
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$1"; } \
        >/dev/null 2>&1 || die "$1 cannot be installed"
}
sshd=$(PATH=$PATH:/usr/sbin:/usr/local/sbin type -P sshd) || { missing openssh-server sshd; sshd=/usr/sbin/sshd; }
command -v ssh-keygen >/dev/null || missing openssh-client ssh-keygen
command -v git >/dev/null || missing git git
command -v python3 >/dev/null || missing python3 python3

work=$(mktemp -d "${TMPDIR:-/tmp}/kstate-quickstart.XXXXXX")
user=$(id -un)
dir=$work/server
sshd_pid='' worker='' crontab=''
. "$here/steps.sh"

clean_up() {
    [ -z "$worker" ] || kill "$worker" 2>/dev/null
    if [ -n "$keep" ] && [ -n "$sshd_pid" ]; then
        printf '\nKept: \`KSTATE_ROOT=%s %s diff\` looks again.\nTo end it: \`kill %s; rm -r %s\`%s\n' \
            "$work" "$kstate_binary" "$sshd_pid" "$work" "${crontab:+, and \`crontab -e\` for the line of kstate-quickstart}"
        return
    fi
    [ -z "$sshd_pid" ] || kill "$sshd_pid" 2>/dev/null
    [ -z "$crontab" ] || restore_crontab
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

## A kstate, an sshd, a repository, a root

kstate_binary=${CARGO_TARGET_DIR:-$top/target}/debug/kstate
echo 'Building kstate …'
(cd "$top" && cargo build --quiet) || die 'kstate cannot be built'

start_sshd() {
    local port pam=no
    ssh-keygen -q -t ed25519 -N '' -f "$work/host_key" && ssh-keygen -q -t ed25519 -N '' -f "$work/key" || return
    cp "$work/key.pub" "$work/authorized_keys"
    if [ "$(id -u)" = 0 ]; then
        mkdir -p /run/sshd
        # Without PAM, sshd takes an account that has no password for a locked one.
        ! getent shadow root | grep -q '^root:!' || pam=yes
    fi
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        port=$((20000 + RANDOM % 10000))
        cat >"$work/sshd_config" <<CONFIG
ListenAddress 127.0.0.1
Port $port
HostKey $work/host_key
AuthorizedKeysFile $work/authorized_keys
PidFile none
UsePAM $pam
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
PrintMotd no
CONFIG
        "$sshd" -D -e -f "$work/sshd_config" >"$work/sshd.log" 2>&1 &
        sshd_pid=$!
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            kill -0 $sshd_pid 2>/dev/null || continue 2
            if grep -qs "listening on 127.0.0.1 port $port" "$work/sshd.log"; then
                printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1,2 "$work/host_key.pub")" >"$work/known_hosts"
                printf 'Host *\n    UserKnownHostsFile %s\n    IdentitiesOnly yes\n    IdentityAgent none\n' \
                    "$work/known_hosts" >"$work/ssh_config"
                printf 'here:\n  host: 127.0.0.1\n  port: %s\n  user: %s\n  priv: %s\n' "$port" "$user" "$work/key" \
                    >"$work/roster"
                return 0
            fi
            sleep 0.1
        done
        kill $sshd_pid 2>/dev/null
    done
    sshd_pid=''
    return 1
}

repository=$work/repository.git
commit() {
    local date="$1 12:00:00 +0000"
    GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_DATE=$date GIT_COMMITTER_DATE=$date \
        git -C "$work/tree" -c user.name='Robin Fixture' -c user.email=robin@example.org \
        commit --quiet --allow-empty --message "$2"
}
start_repository() {
    git init --quiet "$work/tree" && git -C "$work/tree" symbolic-ref HEAD refs/heads/master &&
        commit 2019-12-16 'Start' && commit 2019-12-17 'Go on' &&
        git clone --quiet --bare "$work/tree" "$repository"
}

# There is a crontab if the program works for this user; an empty one is nothing to be afraid of.
crontab_works() {
    command -v crontab >/dev/null || return
    crontab -l >"$work/crontab" 2>"$work/crontab.error" && return
    rm -f "$work/crontab"
    grep -qi 'no crontab' "$work/crontab.error"
}
restore_crontab() { if [ -f "$work/crontab" ]; then crontab "$work/crontab"; else crontab -r 2>/dev/null; fi; }

start_sshd || { tail -n 5 "$work/sshd.log" >&2; die "no sshd can be started for $user"; }
start_repository || die 'no repository can be made'
crontab_works && crontab=$user
cat >"$work/kstate.yaml" <<CONFIG
file_roots:
  - $here/states
pillar_roots:
  - $work/pillar
roster: $work/roster
CONFIG
mkdir "$work/pillar"
cp "$here/pillar/top.sls" "$work/pillar/"
cat >"$work/pillar/quickstart.sls" <<PILLAR
quickstart:
  dir: $dir
  repository: $repository
  greeting: Hello
  crontab: '$crontab'
PILLAR
kstate_options=(--root "$work" --ssh-config "$work/ssh_config")

echo "kstate on this machine as $user, over an sshd of its own; everything is in $work"
echo "Below, kstate stands for: $kstate_binary ${kstate_options[*]}"
[ -n "$crontab" ] || echo "(no crontab here, so none is shown)"

## The steps

states=7
[ -z "$crontab" ] || states=8

step 'Make it so'
kstate 0 apply quickstart --yes
check 'no state failed' "$(count failed)" 0
check 'the greeting is there' "$(cat "$dir/greeting.txt" 2>&1)" 'Hello from kstate.'
check 'so is the checkout' "$(git -C "$dir/checkout" log --format=%s -1 2>&1)" 'Go on'
check 'and the history' "$(cat "$dir/history.txt" 2>&1)" $'Go on\nStart'

step 'Once more: nothing to do'
kstate 0 apply quickstart --yes
check "nothing changed" "$(count changed)" 0
check "all $states states are as declared" "$(count unchanged)" "$states"

step 'Look: nothing differs'
kstate 0 diff quickstart
check 'one login' "$(fact logins)" 1

step 'Three things happen by hand'
shown sed -i s/Hello/Goodbye/ "$dir/greeting.txt"
shown rm "$dir/current.txt"
printf '%s$ kstate-quickstart-worker &%s\n' "$dim" "$plain"
(exec -a kstate-quickstart-worker sleep 600) &
worker=$!
disown

step 'Look: exactly these three differ'
kstate 2 diff quickstart
check 'the greeting, the link and the process' "$(ids drift)" "$(printf '%s\n' "$dir/current.txt" greeting 'no old workers' | sort)"

step 'Repair them'
kstate 0 apply quickstart --yes
check 'three states changed' "$(count changed)" 3
check 'the greeting is back' "$(cat "$dir/greeting.txt")" 'Hello from kstate.'
check 'the process is gone' "$(kill -0 $worker 2>/dev/null && echo alive)" ''
worker=''

step 'New commits arrive'
commit 2019-12-18 'Improve' && commit 2019-12-19 'Improve more'
shown git -C "$work/tree" push --quiet "$repository" master

step 'Look: the commits are listed'
kstate 2 diff quickstart
for title in 'Improve' 'Improve more'; do
    check "\"$title\" is" "$(changes_of checkout | grep -c "$title")" 1
done

step 'Deploy them'
kstate 0 apply quickstart --yes
check 'the checkout is at the last one' "$(git -C "$dir/checkout" log --format=%s -1)" 'Improve more'
check 'and so is what was made of it' "$(head -n 1 "$dir/history.txt")" 'Improve more'
kstate 0 diff quickstart

summary
