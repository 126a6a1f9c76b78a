# The shell text around every look at a token. What it relies on: `mark`, `is` and `has_work`.
#
# A record is a symbolic link whose text is the record: reading it never opens anything, never waits, and is bounded.
#   R  folder of root's run     H  folder of root's hold     W  where other users keep theirs, each link of its own owner
#   L  the file that runs of one user lock                    V  what tells one machine from another
umask 077
nl='
'
M=$(id -u)
if [ -n "$KSTATE_TOKENS" ]; then R=$KSTATE_TOKENS H=$R W= L=$R/token.lock V=$R
else R=/run/kstate H=/var/lib/kstate W=/var/tmp L=$R/lock V=/run; [ "$M" = 0 ] || L=$K/token.lock; fi

# The users whose records count: root, this one, and the other logins of the run.
A="0 $M"
for h in $kstate_beside; do A="$A $(stat -c %u "/proc/$h" 2>/dev/null)"; done

# `get FIELD` and `says FIELD VALUE` look into the record that is loaded.
get() { case $nl$rec$nl in *"$nl$1: "*) v=$nl$rec$nl; v=${v#*"$nl$1: "}; v=${v%%"$nl"*} ;; *) v= ;; esac; }
says() { get "$1"; [ "$v" = "$2" ]; }

# Loads the record `$k`: its text, its owner, and when it was last heard of.
load() { rec= u= heard=0; [ -L "$k" ] || return 1
s=$(stat -c '%u %Y' "$k" 2>/dev/null) && rec=$(readlink "$k" 2>/dev/null) || return 1
u=${s%% *} heard=${s#* }; }

# Prints the records of other places that `find` selects. A name that could be taken for anything else is none.
found() { [ -z "$W" ] || find "$W/" -maxdepth 1 -type l -links 1 \( -name 'kstate-run.*' -o -name 'kstate-hold.*' \) ! -name '*[!A-Za-z0-9.-]*' "$@" 2>/dev/null; }
honoured() { set -- -user "$M"; for a in $A; do set -- "$@" -o -user "$a"; done; [ "$A" = '0 0' ] || found \( "$@" \); }
strange() { set --; for a in $A; do set -- "$@" ! -user "$a"; done; found "$@" | head -n 5; }

# `each COMMAND` and `others COMMAND` run it for each record that counts, and for some that do not.
each() { for k in "$R/run" "$H/hold" $(honoured); do if load; then "$@"; fi; done; }
others() { for k in $(strange); do if load; then "$@"; fi; done; }

is_hold() { case ${k##*/} in hold | kstate-hold.*) return 0 ;; esac; return 1; }
holds() { get until; case $v in '' | *[!0-9]*) return 1 ;; esac; [ "$v" -gt "$(date +%s)" ]; }
recent() { [ $(($(date +%s) - heard)) -lt "$1" ]; }
# `PID STARTTIME` of the record, of this boot.
same() { case $1 in *[!0-9\ ]*) return 1 ;; esac; get boot; case $v in *[!0-9a-f-]* | '') return 1 ;; esac; }
linked() { get shells; p=${v%%;*}; same "$p" && is $p "$v" || return 1; get parent; p=$v; same "$p" && is $p "$v"; }
at_work() { get shells; q=$v n=0
while [ -n "$q" ] && [ $n -lt 20 ]; do p=${q%%;*} q=${q#*;} n=$((n + 1)); if same "$p" && has_work $p "$v"; then return 0; fi; done; return 1; }
works() { linked && { recent SILENCE || at_work; }; }
ends() { recent GRACE || at_work; }

# `print KIND` prints a record that is in force; `list` all that there is to tell.
print() { if is_hold; then holds || return 0; else works || ends || return 0; fi
c=run; if is_hold; then c=hold; fi
echo "@ $1$c $(stat -c %U "$k" 2>/dev/null)"; printf '%s\n' "$rec" | tr -d '@\000-\010\013-\037\177'; }
machine() { read -r b </proc/sys/kernel/random/boot_id; echo "@ machine $b $(stat -c %d:%i "$V/")"; }
tell() { echo "@ now $(date +%s)"; machine; each print ''; others print other-; }

# Finds the record of this run, as `$k`.
at_own() { for k in "$R/run" $([ "$M" = 0 ] || found -user "$M" -name 'kstate-run.*'); do if load && [ "$u" = "$M" ] && says run "$run"; then return 0; fi; done; return 1; }
drop() { rm -f "$k" 2>/dev/null; [ ! -L "$k" ] || { echo "$k belongs to $(stat -c %U "$k"): only they or root can remove it" >&2; exit 1; }; }

# `own KIND` sets `$k` to this user's record of a kind, or to the name of a new one; `put KIND TEXT` writes it.
own() { if [ "$M" = 0 ] || [ -z "$W" ]; then k=$R/run; [ "$1" = run ] || k=$H/hold; return; fi
k=$(found -user "$M" -name "kstate-$1.*" | head -n 1); [ -n "$k" ] || { read -r b </proc/sys/kernel/random/uuid; k=$W/kstate-$1.$M.$b; }; }
put() { own "$1"; read -r b </proc/sys/kernel/random/uuid; n=${k%/*}/.kstate.$b; ln -s "$2" "$n" && mv -fT "$n" "$k" || exit 1; }

# Who the held shells and the connection of this run are.
pair() { m=$(mark "$1"); echo "${m% *}"; }
shells() { for h in $kstate_shell $kstate_beside; do s=$(pair "$h"); printf '%s;' "$s"; done; }
life() { read -r b </proc/sys/kernel/random/boot_id; echo "boot: $b"; echo "shells: $(shells)"
read -r l <"/proc/$kstate_shell/stat"; echo "parent: $(pair "$(set -- ${l##*) }; echo "$2")")"; }

# Makes the place of root's run, and has the runs of one user wait for each other: in a file that nobody else can open.
place() { [ "$M" = 0 ] && [ -n "$W" ] || return 0; [ -d "$R" ] || mkdir -m 755 "$R" || exit 1
[ -n "$(find "$R" -maxdepth 0 -type d -user 0 ! -perm /022 2>/dev/null)" ] || { echo "others than root can change $R, or it is not a folder: nothing in it is trusted; move it away" >&2; exit 1; }; }
lock() { place; exec 9>>"$L" && flock -w 30 9 || { echo "$L cannot be locked" >&2; exit 1; }; }
