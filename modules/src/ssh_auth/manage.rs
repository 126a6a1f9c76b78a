//! `ssh_auth.manage`: a user may log in by these keys and no others
//!
//! ```yaml
//! ocdskfp-keys:
//!   ssh_auth.manage:
//!     - user: ocdskfp
//!     - ssh_keys:
//!       - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPtqTqrGyUd1T4Mxxhzv0Wmxi6UzC6YSs3tZCrcEyxmk james
//! ```
//!
//! Comments of the file stay as they are.

use kstate_core::{Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::key::{Key, retain};
use super::{KeyFile, declared_keys};
use crate::kinds::Texts;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Any name.
    #[expect(dead_code, reason = "names the state and nothing else")]
    name: String,
    /// The keys, each as a whole line, `type key comment`, or bare.
    ssh_keys: Texts,
    /// The user.
    user: String,
    /// The type of bare keys, such as `ed25519`. Default: `ssh-rsa`.
    enc: Option<String>,
    /// The comment of keys that have none.
    comment: Option<String>,
    /// Options of the keys, as sshd(8) tells them.
    options: Option<Texts>,
    /// The file that holds the user's keys: a path from the home, `%h` and `%u` stand for home and user. Default:
    /// `.ssh/authorized_keys`.
    config: Option<String>,
    /// Has no meaning here: keys are compared as they are.
    #[expect(dead_code, reason = "accepted because trees have it")]
    fingerprint_hash_type: Option<IgnoredAny>,
}

#[derive(Debug)]
pub(crate) struct Manage {
    file: KeyFile,
    keys: Vec<Key>,
}

impl State for Manage {
    const NAME: &'static str = "ssh_auth.manage";
    const SOURCE: &'static str = include_str!("manage.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] =
        &[("source", "write the keys into `ssh_keys`")];
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let (enc, comment) = (arguments.enc.as_deref(), arguments.comment.as_deref());
        let mut problems = Vec::new();
        let mut keys = Vec::new();
        for name in &arguments.ssh_keys.0 {
            match declared_keys(cx, name, None, enc, comment, arguments.options.as_ref()) {
                Ok(more) => keys.extend(more),
                Err(problem) => problems.push(problem),
            }
        }
        match KeyFile::new(cx, arguments.user, arguments.config) {
            Ok(file) if problems.is_empty() => Ok(Manage { file, keys }),
            file => Err(problems.into_iter().chain(file.err()).collect()),
        }
    }
}

impl Resource for Manage {
    fn questions(&self) -> Vec<Question> {
        self.file.questions()
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let account = self.file.account(facts)?.ok_or_else(|| self.file.no_user())?;
        let stays = |there: &str| self.keys.iter().any(|key| key.key == there);
        self.file.edit(facts, account, |lines| {
            self.keys.iter().fold(retain(lines, stays), |lines, key| key.put(&lines))
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::ssh_auth::present::tests::{KEYS, facts};
    use crate::testing::{Tree, declare, settles};

    #[test]
    fn other_keys_go() {
        let text =
            "x:\n  ssh_auth.manage:\n    - user: ann\n    - ssh_keys: [ssh-rsa AAAA a, ssh-rsa BBBB]\n";
        let manage = declare(text, &Tree::default());
        let mut facts = facts(Some("# mine\nssh-rsa CCCC\nssh-rsa BBBB\n"));
        settles(&*manage, &mut facts);
        assert_eq!(facts.content(KEYS).unwrap().unwrap(), b"# mine\nssh-rsa BBBB\nssh-rsa AAAA a\n");
    }
}
