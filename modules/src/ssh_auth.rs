//! Keys by which a user may log in.

mod absent;
mod key;
mod manage;
mod present;

pub(crate) use absent::Absent;
pub(crate) use manage::Manage;
pub(crate) use present::Present;

use kstate_core::question::{Account, PathInfo};
use kstate_core::touch::is_below;
use kstate_core::{Attributes, Content, Facts, Operation, Parents, Problem, Question, Step, Stop, Write};

use crate::file::pattern::{bytes_of, text_of};
use crate::kinds::Texts;
use crate::user::likely_home;
use crate::{Context, text};
use key::{Key, KeyError};

/// The file that holds a user's keys.
#[derive(Debug)]
struct KeyFile {
    user: String,
    /// Relative to the home, with `%h` and `%u`.
    config: String,
}

/// Where Salt looks, as sshd(8) does.
const CONFIG: &str = ".ssh/authorized_keys";

impl KeyFile {
    fn new(cx: &Context<'_>, user: String, config: Option<String>) -> Result<Self, Problem> {
        let config = config.unwrap_or_else(|| CONFIG.into());
        match expand(&config, "", "") {
            Some(_) => Ok(KeyFile { user, config }),
            None => Err(cx.error("config", "only `%h`, `%u` and `%%` are known in it")),
        }
    }

    fn path(&self, home: &str) -> String {
        let path = expand(&self.config, &self.user, home).unwrap_or_default();
        if path.starts_with('/') { path } else { format!("{}/{path}", home.trim_end_matches('/')) }
    }

    fn of_home(&self, home: &str) -> [Question; 3] {
        let path = self.path(home);
        [Question::Path(home.to_owned()), Question::Path(path.clone()), Question::Content(path)]
    }

    /// The home is asked for where it is likely, so that one batch is enough as a rule.
    fn questions(&self) -> Vec<Question> {
        let mut questions = vec![Question::Account(self.user.clone())];
        questions.extend(self.of_home(&likely_home(&self.user)));
        questions
    }

    fn keys(&self, keys: &[Key]) -> Content {
        let lines: String = keys.iter().map(Key::line).collect();
        Content::new("keys", format!("keys of {}", self.user), bytes_of(&lines))
    }

    /// The step that makes `change` of the file's lines. `None` for the account: there is no such user.
    fn edit(
        &self,
        facts: &Facts,
        account: &Account,
        change: impl Fn(&str) -> String,
    ) -> Result<Vec<Step>, Stop> {
        facts.need(self.of_home(&account.home))?;
        let path = self.path(&account.home);
        if let Some(info) = facts.path(&path)?.filter(|info| info.is_directory()) {
            return Err(Stop::Failed(format!("a {} stands at `{path}`", info.kind_name())));
        }
        let old = facts.content(&path)?.map(Vec::as_slice);
        let new = bytes_of(&change(&text_of(old.unwrap_or_default())));
        if new == old.unwrap_or_default() {
            return Ok(Vec::new());
        }
        let has_home = facts.path(&account.home)?.is_some_and(PathInfo::is_directory);
        if is_below(&path, &account.home) && !has_home {
            return Err(Stop::Failed(format!(
                "the home of `{}` (`{}`) does not exist",
                self.user, account.home
            )));
        }
        let group = if account.group.is_empty() { account.gid.to_string() } else { account.group.clone() };
        let owned =
            |mode| Attributes { mode: Some(mode), user: Some(self.user.clone()), group: Some(group.clone()) };
        let told = text::change(&path, &path, old, &new);
        let write = Write {
            path,
            bytes: new,
            attributes: if old.is_some() { Attributes::default() } else { owned(0o600) },
            parents: Parents::Make(owned(0o700)),
            check: None,
            backup: None,
            follow: true,
        };
        Ok(vec![Step::new([told], Operation::Write(write))])
    }

    fn account<'f>(&self, facts: &'f Facts) -> Result<Option<&'f Account>, Stop> {
        facts.need(self.questions())?;
        facts.account(&self.user)
    }

    fn no_user(&self) -> Stop {
        Stop::Failed(format!("user `{}` does not exist", self.user))
    }
}

/// sshd_config(5), `AuthorizedKeysFile`.
fn expand(config: &str, user: &str, home: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = config.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => match chars.next()? {
                '%' => out.push('%'),
                'u' => out.push_str(user),
                'h' => out.push_str(home),
                _ => return None,
            },
            c => out.push(c),
        }
    }
    Some(out)
}

/// The keys that a state names: those of its source, or the one of its name.
fn declared_keys(
    cx: &Context<'_>,
    name: &str,
    source: Option<&str>,
    enc: Option<&str>,
    comment: Option<&str>,
    options: Option<&Texts>,
) -> Result<Vec<Key>, Problem> {
    let options = options.map(|Texts(options)| options.join(","));
    let Some(source) = source.filter(|source| !source.is_empty()) else {
        let named = Key::of_name(name, enc.unwrap_or("ssh-rsa"), comment.unwrap_or_default(), options);
        return named.map(|key| vec![key]).map_err(|error: KeyError| {
            cx.error(if matches!(error, KeyError::Type(_)) { "enc" } else { "name" }, error)
        });
    };
    let text = text_of(&cx.read("source", source)?);
    // A file of comments alone declares no keys. Salt fails on it, so that trees carry a key that is nobody's.
    let mut keys: Vec<Key> = text.lines().filter_map(Key::of_line).collect();
    if let Some(options) = options.filter(|options| !options.is_empty()) {
        keys.iter_mut().for_each(|key| key.options.clone_from(&options));
    }
    Ok(keys)
}
