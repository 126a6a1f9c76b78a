nl='
'
stop() {
  printf '%s\n' "$*" >&2
  exit 1
}
# Sets `real` to the path that `$1` leads to, without a link in it. `met` is called for each link on the way.
resolve() {
  rest=$1 real= hops=0
  while [ -n "$rest" ]; do
    part=${rest%%/*}
    case $rest in
    */*) rest=${rest#*/} ;;
    *) rest= ;;
    esac
    case $part in
    '' | .) continue ;;
    ..) real=${real%/*} && continue ;;
    esac
    if [ -L "$real/$part" ]; then
      hops=$((hops + 1))
      [ "$hops" -le 40 ] || stop "\`$1\` leads through too many links"
      link
      met
      case $to in /*) real= ;; esac
      rest=$to${rest:+/$rest}
    else
      real=$real/$part
    fi
  done
}
