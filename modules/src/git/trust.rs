//! Who may have git run what: the configuration and the hooks of a repository are programs of whoever can change them.
//!
//! git refuses a repository whose owner is somebody else. Root looks more closely, before git does at all: nobody else may be
//! able to change what git reads of the repository, or a directory above it.

/// Functions. `guard DIR` sets `$at` to the real path of a directory, and `$bad` to a path through which others can change what
/// git reads there. A directory that does not exist is judged by what is above it. `whose` prints who others are.
pub(crate) const TRUST: &str = r#"me=$(id -u) nl='
'
unset SUDO_UID GIT_DIR GIT_WORK_TREE GIT_COMMON_DIR GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_NAMESPACE GIT_CONFIG GIT_EXTERNAL_DIFF
foreign() { if [ "$me" = 0 ]; then find "$@" \( ! -user 0 -o ! -type l \( -perm -002 -o -perm -020 ! -group 0 \) \) -print -quit
else find "$@" ! -user 0 ! -user "$me" -print -quit; fi 2>/dev/null; }
above() { x=$1; set --; [ "$me" = 0 ] || return 0
while [ "$x" != / ]; do x=${x%/*}; x=${x:-/}; set -- "$@" "$x"; done
[ $# = 0 ] || find "$@" -maxdepth 0 \( ! -user 0 -o ! -perm -1000 \( -perm -002 -o -perm -020 ! -group 0 \) \) -print -quit 2>/dev/null; }
guard() { at=$1 rest= kept=
while [ "$at" != / ] && [ ! -e "$at" ] && [ ! -L "$at" ]; do rest=/${at##*/}$rest at=${at%/*}; at=${at:-/}; done
x=$(readlink -f -- "$at") && at=$x
if [ -n "$rest" ]; then at=${at%/}$rest; bad=$(above "$at"); return 0; fi
bad=$(above "$at"; foreign "$at" -maxdepth 0); bad=${bad%%"$nl"*}
[ -z "$bad" ] || return 0
if [ -e "$at/.git" ] || [ -L "$at/.git" ]; then
kept=$at/.git bad=$(foreign "$at/.git" -maxdepth 0)
if [ -z "$bad" ] && [ -f "$kept" ]; then kept=$(sed -n '1s/^gitdir: //p' "$kept"); case $kept in /*) ;; *) kept=$at/$kept ;; esac; fi
elif [ -f "$at/HEAD" ] && [ -d "$at/objects" ]; then kept=$at; fi
while [ -z "$bad" ] && [ -n "$kept" ]; do
kept=$(readlink -f -- "$kept"); [ -d "$kept" ] || break
bad=$(above "$kept"; foreign "$kept" \( -name objects -o -name logs -o -name refs \) -prune -o); bad=${bad%%"$nl"*}
[ -z "$bad" ] && [ -f "$kept/commondir" ] || break
x=$(head -n 1 "$kept/commondir"); case $x in /*) ;; *) x=$kept/$x ;; esac
x=$(readlink -f -- "$x"); [ "$x" != "$kept" ] || break; kept=$x
done; }
whose() { x=$(stat -c %u "$bad"); case $x in 0 | "$me") echo others ;; *) stat -c %U "$bad" ;; esac; }
"#;

/// Why git does not look at a directory, as a person reads it. `who` can change `path`, and git would run as `user`.
pub(crate) fn refusal(user: &str, who: &str, path: &str) -> String {
    match who {
        "others" => format!(
            "others can change `{path}`, and git would run as `{user}` what they write there; take the right to write from them"
        ),
        _ => format!(
            "`{path}` belongs to `{who}`, and git would run as `{user}` what is configured there; add `user: {who}`, or give it to `{user}`"
        ),
    }
}
