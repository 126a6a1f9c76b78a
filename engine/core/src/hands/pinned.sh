met() {
  [ -z "$why" ] || stop "\`$real/$part\` $why"
}
# Goes to a directory that `resolve` has found, and stays in it whatever becomes of its name. `safe` is empty if others can change the way to it.
enter() {
  cd -P -- "${1:-/}" || exit 1
  [ "$PWD" = "${1:-/}" ] || stop "\`$1\` was replaced by a link to \`$PWD\` while it was used"
  rest=${1#/} up= safe=1
  set -- /proc/self/ /
  while [ -n "$rest" ]; do
    up=$up/${rest%%/*}
    set -- "$@" "$up"
    case $rest in
    */*) rest=${rest#*/} ;;
    *) rest= ;;
    esac
  done
  me=
  all=$(stat -c %u:%g:%A -- "$@") || exit 1
  for each in $all; do
    [ -n "$me" ] || {
      me=${each%%:*}
      continue
    }
    firm "$each" || safe=
  done
}
# Resolves `$1` and enters the directory of it. The last component is `name`, and its directory `dir`. With `$2`, a link at the end is followed.
reach() {
  if [ -n "$2" ]; then
    resolve "$1"
    name=${real##*/} dir=${real%/*}
  else
    way=$1
    while [ "$way" != "${way%/}" ]; do way=${way%/}; done
    name=${way##*/}
    resolve "${way%/*}"
    dir=$real
  fi
  enter "$dir"
}
# Opens a place for new files beside what they replace: `in` is the way from there to the directory. Where others can change the directory, it is one that only this user can change.
stage() {
  in=. tmp=
  trap unstage EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  [ -z "$safe" ] || return 0
  exec 8<. || exit 1
  in=/proc/self/fd/8
  [ -d $in/. ] || stop "\`$dir\` can be changed by others, which needs /proc to be mounted"
  tmp=$(mktemp -d ./.kstate.XXXXXXXX) || exit 1
  cd -P -- "$tmp" && [ "$PWD" = "$dir/${tmp#./}" ] && [ "$(stat -c %u:%a .)" = "$me:700" ] || {
    tmp=
    stop "\`$dir\` was changed by somebody else at the same time"
  }
  set -C
}
unstage() {
  [ -z "$new" ] || rm -rf -- "$new"
  [ -z "$tmp" ] || rmdir -- "$in/$tmp" 2>/dev/null
}
# Sets `new` to the name of a file, link or directory to be made.
fresh() {
  if [ -n "$safe" ]; then
    new=./.kstate.$$.${1:-0}
    while [ -e "$new" ] || [ -L "$new" ]; do new=$new.0; done
  else
    new=./new
  fi
}
# Puts `new` under the name `$1`.
place() {
  mv -fT -- "$new" "$in/$1" || exit 1
  new=
}
# Goes to what stands at `$1` in a way that nobody can turn elsewhere, and sets `it`: a directory is entered, a file gets a second name where others cannot change it.
hold() {
  if [ -n "$safe" ]; then
    it=./$1
  elif [ -d "./$1" ] && [ ! -L "./$1" ]; then
    cd -P -- "./$1" && [ "$PWD" = "$dir/$1" ] || stop "\`$dir/$1\` was replaced while it was used"
    it=.
  else
    above=$(stat -c %u .)
    stage
    fresh
    ln -P -- "$in/$1" "$new" || exit 1
    it=$new
    own "$1"
  fi
}
# `new` is another name of what stands at `$1`, which is a file of its own: it has no third name, or is of the owner of its directory.
own() {
  [ ! -L "$new" ] || stop "\`$dir/$1\` was replaced by a link while it was used"
  all=$(stat -c '%d:%i %h %u' -- "$new" "$in/$1") || exit 1
  one=${all%%
*}
  [ "$all" = "$one
$one" ] || stop "\`$dir/$1\` was replaced while it was used"
  case $one in
  *" 2 "* | *" $above") ;;
  *) stop "\`$dir/$1\` is also a name of a file elsewhere, which belongs to somebody else; it is left alone" ;;
  esac
}
# Makes the missing directories above `$1`. `each`, called with paths that only this user can change, sets their owner and mode.
above() {
  up=${1%/*} todo=
  while [ -n "$up" ] && [ ! -d "$up" ]; do
    [ ! -e "$up" ] && [ ! -L "$up" ] || stop "\`$up\` is not a directory"
    todo=/${up##*/}$todo up=${up%/*}
  done
  [ -n "$todo" ] || return 0
  resolve "$up"
  dir=$real
  enter "$dir"
  stage
  fresh dir
  mkdir -- "$new" || exit 1
  each "$new"
  first=${todo#/} last=$new
  todo=${first#*/}/ first=${first%%/*}
  [ "$todo" != "$first/" ] || todo=
  while [ -n "$todo" ]; do
    last=$last/${todo%%/*} todo=${todo#*/}
    mkdir -- "$last" || exit 1
    each "$last"
  done
  put "$first"
}
# Puts a new directory under the name `$1`, where nothing may stand.
put() {
  mv -nT -- "$new" "$in/$1" || exit 1
  [ ! -d "$new" ] || stop "\`$dir/$1\` was made by somebody else at the same time"
  new=
  unstage
}
# Where others can change the directory, only a program that looks behind no link may remove a directory.
tidy() {
  [ -n "$safe" ] || [ ! -d "./$name" ] || [ -L "./$name" ] || case $(rm --version 2>/dev/null) in
  *GNU*) ;;
  *) stop "\`$dir\` can be changed by others, and this rm(1) is not known to be safe there" ;;
  esac
}
# Takes the content of `new` from standard input, `$1` bytes, with the owner and mode of what it replaces.
receive() {
  [ -L "$in/$name" ] || [ ! -d "$in/$name" ] || stop "$dir/$name is a directory"
  [ -L "$in/$name" ] || [ ! -e "$in/$name" ] || [ -f "$in/$name" ] || stop "$dir/$name is not a regular file"
  umask 077
  cat >"$new" || exit 1
  umask 022
  [ "$(wc -c <"$new")" -eq "$1" ] || stop 'the content did not arrive whole'
  old=$(stat -c '%f %u:%g %a %h' -- "$in/$name" 2>/dev/null)
  case $old in
  8*)
    old=${old#* }
    chown "${old%% *}" -- "$new" 2>/dev/null
    old=${old#* }
    many=${old#* } old=${old%% *}
    [ -n "$safe" ] || {
      [ "$many" -eq 1 ] || stop "\`$dir/$name\` is also a name of a file elsewhere; it is left alone"
      # Who can change the directory must not choose these.
      [ ${#old} -lt 4 ] || old=${old#?}
    }
    chmod "$old" -- "$new" || exit 1
    ;;
  *) chmod 644 -- "$new" || exit 1 ;;
  esac
}
# Runs the command of `check_cmd` on the file `$1`. It travels on a descriptor: everybody can read the words of a process.
judge() {
  printf %s "$check" | sh -c 'kstate_s=$(cat <&3); exec 3<&-; eval "unset kstate_s; $kstate_s \"\$1\""' sh "$1" 3<&0 </dev/null
}
# Runs the command of `check_cmd` on the new file. Where others can change the directory, it gets a copy that they cannot.
try() {
  if [ -n "$safe" ]; then
    judge "$dir/${new#./}" || stop 'refused by check_cmd; the old file stays'
  else
    copy=$(mktemp -d) && cp -p -- "$new" "$copy/$name" || exit 1
    judge "$copy/$name"
    took=$?
    rm -rf -- "$copy"
    [ $took -eq 0 ] || stop 'refused by check_cmd; the old file stays'
  fi
}
# Keeps the old file under its name and the ending `$1`.
keep() {
  [ -e "$in/$name" ] || return 0
  made=$new
  fresh backup
  [ -n "$safe" ] || new=./backup
  ln -P -- "$in/$name" "$new" || exit 1
  [ -f "$new" ] && [ ! -L "$new" ] || stop "\`$dir/$name\` was replaced while it was used"
  place "$name$1"
  new=$made
}
# Prints the content of the file at `$1`, `$2` bytes at most.
show() {
  if [ -z "$safe" ]; then
    one=$(stat -c '%d:%i %f %h %u' -- "./$1" . 2>/dev/null) || exit 44
    above=${one##* } one=${one%%
*}
    case $one in
    *" 8"*" 1 "* | *" 8"*" $above") ;;
    *" 8"*) stop "\`$dir/$1\` is also a name of a file elsewhere, which belongs to somebody else; it is not read" ;;
    *) exit 45 ;;
    esac
    # Opens no link, and waits for no pipe.
    dd if="./$1" iflag=nofollow,nonblock,fullblock,count_bytes bs=65536 count="$2" 2>/dev/null || stop "\`$dir/$1\` cannot be read safely where others can change the directory"
    [ "$(stat -c '%d:%i %f %h %u' -- "./$1")" = "$one" ] || stop "\`$dir/$1\` was replaced while it was read"
  else
    [ -e "./$1" ] || exit 44
    [ -f "./$1" ] || exit 45
    head -c "$2" -- "./$1"
  fi
}
