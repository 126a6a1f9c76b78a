//! `ssh_auth.absent`: a user may not log in by this key
//!
//! ```yaml
//! ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPtqTqrGyUd1T4Mxxhzv0Wmxi6UzC6YSs3tZCrcEyxmk james:
//!   ssh_auth.absent:
//!     - user: ocdskfp
//! ```
//!
//! Only the key itself counts, not its comment and options. Other lines of the file stay as they are.

use kstate_core::{Content, Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::key::{Key, retain};
use super::{KeyFile, declared_keys};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The key: a whole line, `type key comment`, or the bare key.
    name: String,
    /// The user.
    user: String,
    /// The type of a bare key. Default: `ssh-rsa`.
    enc: Option<String>,
    /// A file of keys, one on each line, instead of the name: `salt://path`.
    source: Option<String>,
    /// The file that holds the user's keys: a path from the home, `%h` and `%u` stand for home and user. Default:
    /// `.ssh/authorized_keys`.
    config: Option<String>,
    /// Has no meaning here: only the key itself counts.
    #[expect(dead_code, reason = "accepted because trees have it")]
    comment: Option<IgnoredAny>,
    /// Likewise.
    #[expect(dead_code, reason = "accepted because trees have it")]
    options: Option<IgnoredAny>,
    /// Likewise.
    #[expect(dead_code, reason = "accepted because trees have it")]
    fingerprint_hash_type: Option<IgnoredAny>,
}

#[derive(Debug)]
pub(crate) struct Absent {
    file: KeyFile,
    keys: Vec<Key>,
}

impl State for Absent {
    const NAME: &'static str = "ssh_auth.absent";
    const SOURCE: &'static str = include_str!("absent.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let (source, enc) = (arguments.source.as_deref(), arguments.enc.as_deref());
        let keys = declared_keys(cx, &arguments.name, source, enc, None, None);
        match (KeyFile::new(cx, arguments.user, arguments.config), keys) {
            (Ok(file), Ok(keys)) => Ok(Absent { file, keys }),
            (file, keys) => Err(file.err().into_iter().chain(keys.err()).collect()),
        }
    }
}

impl Resource for Absent {
    fn questions(&self) -> Vec<Question> {
        self.file.questions()
    }

    fn contents(&self) -> Vec<Content> {
        vec![self.file.keys(&self.keys)]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let Some(account) = self.file.account(facts)? else { return Ok(Vec::new()) };
        let stays = |key: &str| self.keys.iter().all(|gone| gone.key != key);
        self.file.edit(facts, account, |lines| retain(lines, stays))
    }
}

#[cfg(test)]
mod tests {
    use crate::ssh_auth::present::tests::{KEYS, facts};
    use crate::testing::{Tree, declare, settles};

    #[test]
    fn the_key_goes_and_the_rest_stays() {
        let absent = declare("AAAA:\n  ssh_auth.absent:\n    - user: ann\n", &Tree::default());
        for content in [None, Some("# ssh-rsa AAAA\nssh-rsa BBBB\n")] {
            assert_eq!(absent.diff(&facts(content)), Ok(Vec::new()));
        }
        let mut facts = facts(Some("# mine\nno-pty ssh-ed25519 AAAA x\nssh-rsa BBBB\n"));
        settles(&*absent, &mut facts);
        assert_eq!(facts.content(KEYS).unwrap().unwrap(), b"# mine\nssh-rsa BBBB\n");
    }
}
