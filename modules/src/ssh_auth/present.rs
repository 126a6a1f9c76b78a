//! `ssh_auth.present`: a user may log in by this key
//!
//! ```yaml
//! ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPtqTqrGyUd1T4Mxxhzv0Wmxi6UzC6YSs3tZCrcEyxmk james:
//!   ssh_auth.present:
//!     - user: ocdskfp
//!     - options:
//!       - no-pty
//! ```
//!
//! The name is a whole line, `type key comment`, or the bare key. Other lines of the file stay as they are. A missing
//! `.ssh` (0700) and `authorized_keys` (0600) are made for the user.

use kstate_core::{Content, Facts, Problem, Question, Resource, Step, Stop};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::key::Key;
use super::{KeyFile, declared_keys};
use crate::kinds::Texts;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The key.
    name: String,
    /// The user.
    user: String,
    /// The type of a bare key, such as `ed25519`. Default: `ssh-rsa`.
    enc: Option<String>,
    /// The comment of a key that has none.
    comment: Option<String>,
    /// Options of the key, as sshd(8) tells them.
    options: Option<Texts>,
    /// A file of keys, one on each line, instead of the name: `salt://path`.
    source: Option<String>,
    /// The file that holds the user's keys: a path from the home, `%h` and `%u` stand for home and user. Default:
    /// `.ssh/authorized_keys`.
    config: Option<String>,
    /// Has no meaning here: keys are compared as they are.
    #[expect(dead_code, reason = "accepted because trees have it")]
    fingerprint_hash_type: Option<IgnoredAny>,
}

#[derive(Debug)]
pub(crate) struct Present {
    file: KeyFile,
    keys: Vec<Key>,
}

impl State for Present {
    const NAME: &'static str = "ssh_auth.present";
    const SOURCE: &'static str = include_str!("present.rs");
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let keys = declared_keys(
            cx,
            &arguments.name,
            arguments.source.as_deref(),
            arguments.enc.as_deref(),
            arguments.comment.as_deref(),
            arguments.options.as_ref(),
        );
        let file = KeyFile::new(cx, arguments.user, arguments.config);
        match (file, keys) {
            (Ok(file), Ok(keys)) => Ok(Present { file, keys }),
            (file, keys) => Err(file.err().into_iter().chain(keys.err()).collect()),
        }
    }
}

impl Resource for Present {
    fn questions(&self) -> Vec<Question> {
        self.file.questions()
    }

    fn contents(&self) -> Vec<Content> {
        vec![self.file.keys(&self.keys)]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        if self.keys.is_empty() {
            return Ok(Vec::new());
        }
        let account = self.file.account(facts)?.ok_or_else(|| self.file.no_user())?;
        self.file.edit(facts, account, |lines| {
            self.keys.iter().fold(lines.to_owned(), |lines, key| key.put(&lines))
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::testing::{Tree, declare, declare_error, file, settles, stands};
    use kstate_core::question::{Account, Answer, PathKind};
    use kstate_core::{Attributes, Operation};

    pub(crate) const KEYS: &str = "/srv/ann/.ssh/authorized_keys";

    pub(crate) fn facts(content: Option<&str>) -> Facts {
        let mut facts = Facts::default();
        let ann = Account {
            name: "ann".into(),
            home: "/srv/ann".into(),
            group: "web".into(),
            ..Account::default()
        };
        facts.learn(Question::Account("ann".into()), Ok(Answer::Account(Some(ann))));
        stands(&mut facts, "/srv/ann", PathKind::Directory, 0o755, "ann");
        facts.learn(Question::Path("/home/ann".into()), Ok(Answer::Path(None)));
        file(&mut facts, "/home/ann/.ssh/authorized_keys", None, 0);
        file(&mut facts, KEYS, content, 0o600);
        facts
    }

    fn present(arguments: &str) -> Box<dyn Resource> {
        let tree = Tree {
            files: [("salt://keys", b"# all\nssh-rsa AAAA a\n\nno-pty ssh-rsa BBBB\n".as_slice())].into(),
            ..Tree::default()
        };
        declare(&format!("ssh-rsa AAAA ann:\n  ssh_auth.present:\n    - user: ann\n{arguments}"), &tree)
    }

    #[test]
    fn a_key_that_is_there_needs_nothing() {
        assert_eq!(present("").diff(&facts(Some("x\nssh-rsa  AAAA ann\n"))), Ok(Vec::new()));
    }

    #[test]
    fn the_first_key_makes_file_and_directory_for_the_user() {
        let mut facts = facts(None);
        let steps = present("").diff(&facts).unwrap();
        let Operation::Write(write) = &steps[0].operation else { panic!("{steps:?}") };
        let owned =
            |mode| Attributes { mode: Some(mode), user: Some("ann".into()), group: Some("web".into()) };
        assert_eq!((write.path.as_str(), &write.attributes), (KEYS, &owned(0o600)));
        assert_eq!(write.parents, kstate_core::Parents::Make(owned(0o700)));
        settles(&*present(""), &mut facts);
        // The next key finds the first one.
        settles(&*present("    - source: salt://keys\n    - options: [no-pty]\n"), &mut facts);
        let all = String::from_utf8(facts.content(KEYS).unwrap().unwrap().clone()).unwrap();
        assert_eq!(all, "no-pty ssh-rsa AAAA a\nno-pty ssh-rsa BBBB\n");
    }

    #[test]
    fn asks_again_only_if_the_home_is_not_the_usual_one() {
        let mut facts = facts(None);
        facts.forget(&kstate_core::Touch::Path("/srv/ann".into()));
        let Err(Stop::Ask(asked)) = present("").diff(&facts) else { panic!() };
        assert_eq!(
            asked,
            [Question::Path("/srv/ann".into()), Question::Path(KEYS.into()), Question::Content(KEYS.into()),]
        );
    }

    #[test]
    fn the_home_has_to_be_there() {
        let mut facts = facts(None);
        facts.learn(Question::Path("/srv/ann".into()), Ok(Answer::Path(None)));
        let message = "the home of `ann` (`/srv/ann`) does not exist";
        assert_eq!(present("").diff(&facts), Err(Stop::Failed(message.into())));
        // A file elsewhere needs no home.
        file(&mut facts, "/etc/keys/ann", None, 0);
        settles(&*present("    - config: /etc/keys/%u\n"), &mut facts);
    }

    #[test]
    fn a_mistake_points_at_the_argument() {
        let error = |text: &str| declare_error(text, &Tree::default());
        let text = "AAAA:\n  ssh_auth.present:\n    - user: ann\n    - enc: x\n";
        assert_eq!(error(text), "a.sls:4: ssh_auth.present: `enc`: `x` is not a type of key");
        let text = "nope:\n  ssh_auth.present:\n    - user: ann\n    - config: '%x'\n";
        assert!(error(text).starts_with("a.sls:4: ssh_auth.present: `config`: only"), "{}", error(text));
    }

    #[test]
    fn a_source_of_comments_alone_declares_nothing() {
        let tree = Tree { files: [("salt://none", b"# nobody\n".as_slice())].into(), ..Tree::default() };
        let text = "keys:\n  ssh_auth.present:\n    - user: ann\n    - source: salt://none\n";
        assert_eq!(declare(text, &tree).diff(&facts(None)), Ok(Vec::new()));
    }
}
