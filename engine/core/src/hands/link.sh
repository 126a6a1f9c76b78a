# Succeeds if only root and this user can change a directory of the owner, group and mode `$1`. The bits of the group show what an access control list grants.
firm() {
  case $1 in
  0:*:?????-??-* | "$me":*:?????-??-*) ;;
  *) false ;;
  esac
}
# Succeeds if others can put nothing in the place of what root or this user has in a directory of the owner, group and mode `$1`.
sticky() {
  case $1 in
  0:*:?????????[tT]:* | "$me":*:?????????[tT]:*) ;;
  *) false ;;
  esac
}
# Reads the link `$part` of the directory `$real`. `to` is its text. `why` is empty if the link is followed: root, this user, or the owner of what it leads to made it.
link() {
  why= to= at= tries=0
  [ -d /proc/self/ ] || why='cannot be examined, because /proc is not mounted'
  while [ -z "$why" ]; do
    seen=$({ cd -P -- "${real:-/}" && [ "$PWD" = "${real:-/}" ] && stat -c '%u:%g:%A:%U:%Z:%z' -- . "./$part" /proc/self/ && readlink -- "./$part" && stat -c %Z:%z .; } 2>/dev/null) || {
      why='was replaced while it was read'
      break
    }
    folder=${seen%%"$nl"*} to=${seen#*"$nl"}
    by=${to%%"$nl"*} to=${to#*"$nl"}
    me=${to%%:*} to=${to#*"$nl"}
    later=${to##*"$nl"} to=${to%"$nl"*}
    end=$to
    case $to in /*) ;; *) end=$real/$to ;; esac
    case ${by%%:*} in
    0 | "$me")
      if firm "$folder" || sticky "$folder" || settled; then break; fi
      [ "$tries" -lt 10 ] || why='is in a directory that somebody keeps changing; it is not followed'
      [ "$tries" -eq 0 ] || sleep "$nap"
      tries=$((tries + 1)) at=$(date +%s%N)
      ;;
    "$(stat -L -c %u -- "$end" 2>/dev/null)") break ;; # Not of the link itself, which may be something else by now.
    *)
      by=${by#*:*:*:}
      why="is a link that leads to \`$to\` and belongs to \`${by%%:*}\`, but neither to root nor to the owner of what it leads to; it is not followed. Remove it, or give it to root: \`chown -h root $real/$part\`"
      ;;
    esac
  done
}
# Succeeds if owner and text are those of one link although others can change its directory: by its times, which only the kernel sets, nothing in it has changed since `at`, nor just before.
settled() {
  was=${folder#*:*:*:*:}
  fine=${was##*.}
  fine=${fine%% *} least=50000000 nap=0.05
  # Times may be whole seconds.
  [ "$fine" != 000000000 ] || least=2000000000 nap=0.3
  [ "$was" = "$later" ] || return 1
  case $at${was%%:*}$fine in *[!0-9]*) return 1 ;; esac
  [ $((${at:-0} - ${was%%:*}$fine)) -ge "$least" ]
}
