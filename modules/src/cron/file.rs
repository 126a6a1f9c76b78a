//! `cron.file`: a user's crontab is this file
//!
//! ```yaml
//! salt://core/crontab:
//!   cron.file:
//!     - user: ocdskfp
//! ```

use kstate_core::{Content, Facts, Problem, Question, Resource, Step, Stop, Value};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::tab::without_header;
use super::{install, root, time};
use crate::file::{render, variables};
use crate::kinds::yes;
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// Where the crontab comes from: `salt://path`.
    name: String,
    /// Whose crontab. Default: `root`.
    #[serde(default = "root")]
    user: String,
    /// Renders the crontab: `jinja`.
    template: Option<String>,
    /// Variables of the template.
    context: Option<Value>,
    /// Variables of the template where `context` has none.
    defaults: Option<Value>,
    /// `False`: a crontab that is there stays as it is. Default: `True`.
    #[serde(default = "yes")]
    replace: bool,
    /// Has no meaning here: a `salt://` file needs no hash.
    #[expect(dead_code, reason = "accepted because trees have it")]
    source_hash: Option<IgnoredAny>,
    /// Likewise.
    #[expect(dead_code, reason = "accepted because trees have it")]
    source_hash_name: Option<IgnoredAny>,
}

#[derive(Debug)]
pub(crate) struct File {
    user: String,
    text: String,
    replace: bool,
}

impl State for File {
    const NAME: &'static str = "cron.file";
    const SOURCE: &'static str = include_str!("file.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[(
        "backup",
        "there is no minion to keep backups; the change is shown by `kstate diff` before it is made",
    )];
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let one = |problem: Problem| vec![problem];
        let bytes = cx.read("name", &arguments.name).map_err(one)?;
        let variables = variables(arguments.defaults.as_ref(), arguments.context.as_ref());
        let bytes =
            render(cx, &arguments.name, bytes, arguments.template.as_deref(), &variables).map_err(one)?;
        let mut text = String::from_utf8(bytes)
            .map_err(|_| vec![cx.error("name", format!("`{}` is not UTF-8 text", arguments.name))])?;
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        for (number, line) in (1..).zip(text.lines()) {
            if let Err(reason) = time::check_line(line) {
                let message = format!("line {number} of `{}`, `{line}`: {reason}", arguments.name);
                return Err(vec![cx.error("name", message)]);
            }
        }
        Ok(File { user: arguments.user, text, replace: arguments.replace })
    }
}

impl Resource for File {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Crontab(self.user.clone())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let old = facts.crontab(&self.user)?.map(|text| without_header(text));
        if !self.replace && old.is_some_and(|old| !old.is_empty()) {
            return Ok(Vec::new());
        }
        Ok(install(&self.user, old, self.text.clone()))
    }

    fn contents(&self) -> Vec<Content> {
        vec![Content::new("crontab", format!("crontab of {}", self.user), self.text.as_str())]
    }
}

#[cfg(test)]
mod tests {
    use crate::cron::present::tests::facts;
    use crate::testing::{Tree, declare, settles};

    #[test]
    fn the_crontab_becomes_the_file() {
        let tree = Tree { files: [("salt://c", b"* * * * * {{ x }}".as_slice())].into(), ..Tree::default() };
        let text = "salt://c:\n  cron.file:\n    - user: ann\n    - template: jinja\n    - context: {x: 1}\n";
        let mut facts = facts(Some("* * * * * 2\n"));
        let kept = declare(&format!("{text}    - replace: False\n"), &tree);
        assert_eq!(kept.diff(&facts), Ok(Vec::new()));
        settles(&*declare(text, &tree), &mut facts);
        assert_eq!(facts.crontab("ann").unwrap().unwrap(), "* * * * * 1\n");
    }
}
