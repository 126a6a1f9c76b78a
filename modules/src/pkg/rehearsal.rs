//! What apt says of a run before it is made: `apt-get --simulate` knows packages and versions that no source offers,
//! names that several packages provide, held packages and dependencies that cannot be met.

use kstate_core::words::join;
use kstate_core::{Command, Facts, Stop, Touch};

use super::{Apt, Refresh};

/// Prints the age of the package lists in seconds, and whether they are missing or older than the sources. Lists of
/// sources that are all folders of the host itself do not age: they are as old as these.
const LISTS: &str = r#"lists=/var/lib/apt/lists
if [ -z "$(ls -A $lists 2>/dev/null | grep -vxE 'lock|partial|auxfiles')" ] || [ -n "$(find /etc/apt/sources.list /etc/apt/sources.list.d -newer $lists 2>/dev/null)" ]; then old=yes; else old=no; fi
age=$(($(date +%s) - $(stat -c %Y $lists 2>/dev/null || echo 0)))
sources=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | sort -u)
local=$sources
for source in $sources; do case $source in
  file:*|copy:*) [ -z "$(find "${source#*:}" -maxdepth 3 -newer $lists 2>/dev/null | head -n 1)" ] || local= ;;
  *) local= ;;
esac; done
[ -z "$local" ] || age=0
echo "lists $age $old"
"#;

impl Apt {
    /// Asks apt what it would do. Package files are not there yet, so a run with files cannot be rehearsed.
    pub(super) fn rehearsal(&self) -> Command {
        let words = join(["-q", "-s", "-y"].into_iter().map(str::to_owned).chain(self.words.iter().cloned()));
        let script = format!(
            "said=$(apt-get {words} 2>&1 </dev/null) && exit\n{LISTS}printf '%s\\n' \"$said\" | grep -E '^(E:|  *[^ ]+ : (Depends|PreDepends|Conflicts|Breaks))' | tail -n 6\nexit 1"
        );
        Command::shell(script)
            .told(format!("apt-get --simulate {}", join(&self.words)))
            .depends([Touch::Packages, Touch::Path("/etc/apt".into())])
    }

    /// Fails if apt is known to fail. Where newer package lists are fetched first, returns what speaks against it.
    pub(super) fn check(&self, refresh: Refresh, facts: &Facts) -> Result<Option<String>, Stop> {
        if self.words.is_empty() || !self.files.is_empty() {
            return Ok(None);
        }
        let ended = facts.run(&self.rehearsal())?;
        if ended.ok() {
            return Ok(None);
        }
        let mut lines = ended.stdout.lines();
        let lists: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let said: Vec<&str> = lines.map(|line| line.trim().trim_start_matches("E: ")).collect();
        let said = if said.is_empty() { ended.tail(3) } else { said.join("; ") };
        let age = lists.get(1).and_then(|age| age.parse().ok()).unwrap_or(u64::MAX);
        if refresh.is_due(age, lists.get(2) == Some(&"yes")) {
            return Ok(Some(format!(
                "apt cannot do it by the package lists of the host, and fetches newer ones first ({said})"
            )));
        }
        Err(Stop::Failed(format!("apt cannot do it: {said}")))
    }
}
