//! What is asked about a checkout, by one script, and what it says.

use kstate_core::question::Ended;
use kstate_core::words::{join, quote};

use super::log::{COMMITS, Commit};
use super::trust::TRUST;

/// Git never waits for somebody to type, and gives up on a remote that has gone silent. It looks at a repository of which
/// [`TRUST`] says that nobody else can change it, whichever of this user and root owns it.
const ENVIRONMENT: &str = r#"export GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0 GIT_HTTP_LOW_SPEED_LIMIT=1 GIT_HTTP_LOW_SPEED_TIME=60
export GIT_CONFIG_COUNT=4 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0="$t" GIT_CONFIG_KEY_1=core.quotePath GIT_CONFIG_VALUE_1=false
export GIT_CONFIG_KEY_2=gc.auto GIT_CONFIG_VALUE_2=0 GIT_CONFIG_KEY_3=maintenance.auto GIT_CONFIG_VALUE_3=false
unset GIT_ASKPASS SSH_ASKPASS
export GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-$(git config --global core.sshCommand || echo ssh)} -oBatchMode=yes -oConnectTimeout=30$i"
g() { git -C "$t" "$@"; }
"#;

/// Works on the real path of the target, if others can change neither that nor a remote on this machine.
const GUARD: &str = r#"judge() { guard "$1"; [ -z "$bad" ] || { echo "dubious $(whose) $bad"; doubt "$(whose) can change $bad, and git would run what they write there"; }; }
case $u in file:///*) [ "$me" != 0 ] || judge "${u#file://}" ;; /*) [ "$me" != 0 ] || judge "$u" ;; esac
judge "$t"; t=$at
"#;

/// The beginning of a script that looks, and of one that changes something.
const LOOKING: &str = "doubt() { exit 0; }\n";
const CHANGING: &str = "doubt() { echo \"$1\" >&2; exit 1; }\n";

const SCRIPT: &str = r#"command -v git >/dev/null || { echo nogit; exit 0; }
is_repository=
if [ -e "$t/.git" ] || { [ -f "$t/HEAD" ] && [ -d "$t/objects" ] && [ -d "$t/refs" ]; }; then is_repository=1; echo target repository
elif [ -d "$t" ]; then
  all=$(ls -A "$t") || exit 1
  if [ -z "$all" ]; then echo target empty; else echo target foreign; fi
elif [ -e "$t" ] || [ -L "$t" ]; then echo target file
else echo target absent
fi
all=$(timeout -k 5 60 git ls-remote -- "$u" HEAD "refs/heads/$rev" "refs/tags/$rev" "refs/tags/$rev^{}")
status=$?
[ $status = 0 ] || { echo unreachable $status; exit 0; }
of() { printf '%s\n' "$all" | n=$1 awk -F '\t' '$2 == ENVIRON["n"] { print $1; exit }'; }
if [ "$rev" = HEAD ]; then kind=head; new=$(of HEAD)
else
  kind=branch; new=$(of "refs/heads/$rev")
  [ -n "$new" ] || { kind=tag; new=$(of "refs/tags/$rev^{}"); }
  [ -n "$new" ] || new=$(of "refs/tags/$rev")
  if [ -z "$new" ]; then
    kind=none
    case $rev in *[!0-9a-fA-F]*) ;; ????*) kind=commit; new=$(printf %s "$rev" | tr A-F a-f) ;; esac
  fi
fi
now=$new
[ -z "$pin" ] || [ -z "$now" ] || new=$pin
echo kind $kind
echo new $new
if [ -z "$is_repository" ]; then
  # Only what has been fetched tells that a commit is there.
  [ $kind = commit ] || exit 0
  p=$(mktemp -d) && git init -q --bare "$p" || exit 0
  for what in "$new" '+refs/heads/*:refs/heads/*'; do
    timeout -k 5 300 git -C "$p" fetch -q --depth=1 --no-tags --filter=tree:0 -- "$u" "$what" >/dev/null 2>&1
    full=$(git -C "$p" rev-parse -q --verify "$new^{commit}") && break
  done
  if [ -z "$full" ] && timeout -k 5 300 git -C "$p" fetch -q --unshallow --no-tags --filter=tree:0 -- "$u" '+refs/heads/*:refs/heads/*' '+refs/tags/*:refs/tags/*' >/dev/null 2>&1; then
    git -C "$p" rev-parse -q --verify "$new^{commit}" >/dev/null || echo missing
  fi
  rm -rf "$p"; exit 0
fi
old=$(g rev-parse -q --verify 'HEAD^{commit}') || why=$(g rev-parse --git-dir 2>&1 >/dev/null) || { echo broken "$(printf %s "$why" | tail -n 1)"; exit 0; }
current=$(g symbolic-ref -q --short HEAD)
base=$old
[ -z "$b" ] || [ "$b" = "$current" ] || base=$(g rev-parse -q --verify "refs/heads/$b^{commit}")
echo old $old
echo current $current
echo base $base
echo url "$(g config --get "remote.$r.url")"
echo upstream "$(g for-each-ref --format='%(upstream:short)' "refs/heads/${b:-$current}")"
has() { g rev-parse -q --verify "$1^{commit}" >/dev/null; }
is_in() { g merge-base --is-ancestor "$1" "$2" 2>/dev/null; }
seen=$(g rev-parse -q --verify "refs/remotes/$r/$rev")
# A branch that has gone on beyond what is wanted needs no fetch.
[ -z "$pin" ] || [ -z "$seen" ] || ! is_in "$pin" "$seen" || seen=$pin
echo seen $seen
g status --porcelain=v1 --untracked-files=no --ignore-submodules=all | sed -n '1,200s/^/dirty /p'
[ -z "$sub" ] || g submodule status --recursive | sed -n 's/^[-+U][0-9a-f]* /submodule /p'
[ -n "$new" ] || exit 0
if ! has "$new" || ! has "$now"; then
  case $kind in head) what=HEAD ;; branch) what=refs/heads/$rev ;; tag) what=refs/tags/$rev ;; *) what=$new ;; esac
  timeout -k 5 300 git -C "$t" fetch -q --no-write-fetch-head --no-tags --no-recurse-submodules --refmap= -- "$u" "$what" >/dev/null 2>&1
fi
if [ $kind = commit ] && ! has "$new"; then
  timeout -k 5 300 git -C "$t" fetch -q --dry-run --no-write-fetch-head --no-tags --no-recurse-submodules --refmap= -- "$u" '+refs/heads/*:refs/kstate/*' '+refs/tags/*:refs/kstate-tags/*' >/dev/null 2>&1 || exit 0
  has "$new" || { echo missing; exit 0; }
fi
full=$(g rev-parse -q --verify "$new^{commit}") || exit 0
echo full $full
[ -z "$old" ] || [ "$old" = "$full" ] || LC_ALL=C g read-tree -n -m -u --exclude-per-directory=.gitignore "$old" "$full" 2>&1 | sed -n -e "s/^error: Untracked working tree file '\(.*\)' would be .*/untracked \1/p" -e "s/^error: Updating '\(.*\)' would lose untracked files in it.*/untracked \1/p" | head -n 20
[ -z "$pin" ] || ! has "$now" || is_in "$pin" "$now" || { echo moved_away $now; exit 0; }
[ -z "$seen" ] || [ "$kind" != branch ] || g merge-base --is-ancestor "$seen" "$full" || echo rewritten
[ -z "$old" ] || g diff --name-only --no-renames "$old" "$full" | sed -n '1,5001s/^/file /p'
if [ "${base:-$old}" = "$full" ]; then :
elif [ -n "$base" ]; then
  g merge-base --is-ancestor "$base" "$full" && echo forward
  echo count "$(g rev-list --count "$base..$full")" "$(g rev-list --count "$full..$base")"
  commits comes "$base..$full"
  commits goes "$full..$base"
elif [ -n "$old" ]; then
  echo count "$(g rev-list --count "$old..$full")" 0
  commits comes "$old..$full"
fi
[ $# = 0 ] || [ -z "$old" ] || [ "$old" = "$full" ] || commits held "$old...$full" --full-history -- "$@"
"#;

/// The variables of both scripts.
pub(super) struct Where<'a> {
    pub(super) url: &'a str,
    pub(super) target: &'a str,
    pub(super) rev: &'a str,
    pub(super) branch: Option<&'a str>,
    pub(super) remote: &'a str,
    pub(super) identity: &'a [String],
    pub(super) submodules: bool,
    /// Commits that touch these are to be told.
    pub(super) held: &'a [String],
    /// The commit that is wanted in place of what `rev` means.
    pub(super) pin: Option<&'a str>,
}

impl Where<'_> {
    fn variables(&self) -> String {
        let mut text = String::new();
        for (name, value) in [
            ("u", self.url),
            ("t", self.target),
            ("rev", self.rev),
            ("b", self.branch.unwrap_or_default()),
            ("r", self.remote),
            ("pin", self.pin.unwrap_or_default()),
            ("sub", if self.submodules { "1" } else { "" }),
        ] {
            text.push_str(&format!("{name}={}\n", quote(value)));
        }
        let identity: String = self.identity.iter().map(|path| format!(" -i {}", quote(path))).collect();
        let only = if self.identity.is_empty() { "" } else { " -oIdentitiesOnly=yes" };
        text.push_str(&format!("i={}\n", quote(&format!("{only}{identity}"))));
        text
    }

    pub(super) fn script(&self) -> String {
        let held = join(self.held.iter().map(String::as_str));
        format!("{}{COMMITS}set -- {held}\n{SCRIPT}", self.guarded(LOOKING))
    }

    /// The beginning of a script that changes the checkout.
    pub(super) fn to_change(&self) -> String {
        self.guarded(CHANGING)
    }

    fn guarded(&self, doubt: &str) -> String {
        format!("{}{TRUST}{doubt}{GUARD}{ENVIRONMENT}", self.variables())
    }
}

/// What stands at the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Target {
    #[default]
    Absent,
    Empty,
    /// A directory with something else in it.
    Foreign,
    File,
    Repository,
}

/// What `rev` is at the remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    None,
    Head,
    Branch,
    Tag,
    Commit,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Foretold: as declared.
    pub(super) settled: bool,
    /// There is no git, or no such user yet.
    pub(super) unable: bool,
    pub(super) unreachable: Option<String>,
    /// The target has a `.git` that is no repository, and what git says.
    pub(super) broken: Option<String>,
    /// Who can change what git would read, and where.
    pub(super) dubious: Option<(String, String)>,
    pub(super) target: Target,
    pub(super) kind: Kind,
    /// The commit that `rev` means at the remote; of a commit perhaps only its beginning.
    pub(super) new: String,
    /// The same in full, if its objects are there.
    pub(super) full: Option<String>,
    /// The remote has no such commit.
    pub(super) missing: bool,
    /// What `rev` means by now, if the commit to which it is pinned is not in that any more.
    pub(super) moved_away: Option<String>,
    pub(super) old: String,
    /// The branch that is checked out. Empty: none.
    pub(super) current: String,
    /// Where the wanted branch stands. Empty: it is not there.
    pub(super) base: String,
    pub(super) url: String,
    pub(super) upstream: String,
    /// Where the remote's branch was at the last fetch.
    pub(super) seen: String,
    pub(super) rewritten: bool,
    pub(super) forward: bool,
    pub(super) count: (u32, u32),
    pub(super) comes: Vec<Commit>,
    pub(super) goes: Vec<Commit>,
    /// Those that change what the checkout is held for, with only these paths.
    pub(super) held: Vec<Commit>,
    /// Local changes, as `git status --short` tells them.
    pub(super) dirty: Vec<String>,
    /// Files of nobody's that the checkout would have to overwrite.
    pub(super) in_the_way: Vec<String>,
    pub(super) submodules: Vec<String>,
    /// Files that differ between what is checked out and what shall be.
    pub(super) files: Vec<String>,
}

impl Seen {
    /// `Err`: git could not tell.
    pub(super) fn read(ended: &Ended) -> Result<Self, String> {
        let mut seen = Seen::default();
        if !ended.ok() {
            let nobody = ["does not exist", "No passwd entry", "unknown user"];
            if ended.stdout.trim().is_empty() && nobody.iter().any(|words| ended.stderr.contains(words)) {
                return Ok(Seen { unable: true, ..seen });
            }
            return Err(reason(ended));
        }
        for line in ended.stdout.lines() {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            let text = value.to_owned();
            match key {
                "settled" => seen.settled = true,
                "nogit" => seen.unable = true,
                "dubious" => {
                    let (who, path) = value.split_once(' ').unwrap_or((value, ""));
                    seen.dubious = Some((who.to_owned(), path.to_owned()));
                }
                "unreachable" if value == "124" => seen.unreachable = Some("no answer within 60 s".into()),
                "unreachable" => seen.unreachable = Some(reason(ended)),
                "target" => {
                    seen.target = match value {
                        "repository" => Target::Repository,
                        "empty" => Target::Empty,
                        "foreign" => Target::Foreign,
                        "file" => Target::File,
                        _ => Target::Absent,
                    }
                }
                "kind" => {
                    seen.kind = match value {
                        "head" => Kind::Head,
                        "branch" => Kind::Branch,
                        "tag" => Kind::Tag,
                        "commit" => Kind::Commit,
                        _ => Kind::None,
                    }
                }
                "new" => seen.new = text,
                "missing" => seen.missing = true,
                "moved_away" => seen.moved_away = Some(text),
                "full" => seen.full = Some(text),
                "old" => seen.old = text,
                "current" => seen.current = text,
                "base" => seen.base = text,
                "url" => seen.url = text,
                "upstream" => seen.upstream = text,
                "seen" => seen.seen = text,
                "rewritten" => seen.rewritten = true,
                "forward" => seen.forward = true,
                "count" => {
                    let mut counts = value.split(' ').map(|n| n.parse().unwrap_or_default());
                    seen.count = (counts.next().unwrap_or_default(), counts.next().unwrap_or_default());
                }
                "comes" => seen.comes.push(Commit::read(value)),
                "goes" => seen.goes.push(Commit::read(value)),
                "held" => seen.held.push(Commit::read(value)),
                "path" => seen.last_told().into_iter().for_each(|commit| commit.paths.push(value.to_owned())),
                "dirty" => seen.dirty.push(text),
                "untracked" => seen.in_the_way.push(text),
                "broken" => seen.broken = Some(text),
                "submodule" => seen.submodules.push(text),
                "file" => seen.files.push(text),
                _ => {}
            }
        }
        Ok(seen)
    }

    /// The commit that was told last.
    fn last_told(&mut self) -> Option<&mut Commit> {
        self.held.last_mut().or(self.goes.last_mut()).or(self.comes.last_mut())
    }

    /// The commit that is wanted, as far as it is known.
    pub(super) fn wanted(&self) -> &str {
        self.full.as_deref().unwrap_or(&self.new)
    }

    /// Whether `commit` is the wanted one.
    pub(super) fn is_wanted(&self, commit: &str) -> bool {
        !commit.is_empty() && !self.new.is_empty() && commit.starts_with(self.wanted())
    }
}

/// What git says was wrong: its own lines about that, or its last ones.
fn reason(ended: &Ended) -> String {
    let is_reason = |line: &&str| ["fatal: ", "error: ", "ssh: "].iter().any(|mark| line.starts_with(mark));
    let lines: Vec<&str> = ended.stderr.lines().filter(is_reason).collect();
    if lines.is_empty() { ended.tail(3) } else { lines.join("; ") }
}

/// As `git log --oneline` shortens it.
pub(super) fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
