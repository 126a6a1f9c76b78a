//! `pkgrepo.managed`, `pkgrepo.absent`: sources of packages for apt
//!
//! ```yaml
//! postgresql-repository:
//!   pkgrepo.managed:
//!     - name: deb [signed-by=/etc/apt/keyrings/pgdg.asc] https://apt.postgresql.org/pub/repos/apt bookworm-pgdg main
//!     - file: /etc/apt/sources.list.d/pgdg.list
//!     - key_url: salt://postgres/pgdg.asc
//! ```
//!
//! The key of a source is put where its line says (`signed-by`), else to `/etc/apt/trusted.gpg.d`; `apt-key` is not
//! used. After a change the package lists are fetched.

mod deb822;
mod key;
mod line;

use kstate_core::{
    Attributes, Change, Command, Content, Facts, Operation, Parents, Problem, Question, Resource, Run, Step,
    Stop, Touch, Value, Write,
};
use serde::Deserialize;

use crate::kinds::{Texts, yes};
use crate::pkg::UPDATE;
use crate::{Context, State, text};
use key::Key;
use line::Entry;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The line: `deb https://… bookworm main`; or `ppa:user/name`.
    name: String,
    /// The file that it stands in. Default: `/etc/apt/sources.list`.
    file: Option<String>,
    /// The release, if the line has none.
    dist: Option<String>,
    /// The components, with commas, in place of those of the line.
    comps: Option<Texts>,
    /// The architectures, with commas.
    architectures: Option<Texts>,
    /// The keyring of the source, as `signed-by` of the line.
    signedby: Option<String>,
    /// Takes packages without a signature. Default: as apt does.
    trusted: Option<bool>,
    /// The line is kept, but commented out. Default: `False`.
    #[serde(default)]
    disabled: bool,
    /// The opposite of `disabled`.
    enabled: Option<bool>,
    /// Nothing else stands in the file. Default: `False`.
    #[serde(default)]
    clean_file: bool,
    /// The key of the source: `salt://path`, or an address from which the host fetches it, once.
    key_url: Option<String>,
    /// The key itself.
    key_text: Option<String>,
    /// The key's number, to be fetched from `keyserver`.
    keyid: Option<Texts>,
    /// The server of keys.
    keyserver: Option<String>,
    /// A Launchpad archive, `user/name`, by `add-apt-repository`.
    ppa: Option<String>,
    /// Fetches the package lists after a change. Default: `True`.
    #[serde(default = "yes")]
    refresh: bool,
    /// An older name of `refresh`.
    refresh_db: Option<bool>,
    /// Has no meaning here: apt has no names of sources.
    #[expect(dead_code, reason = "accepted because trees have it")]
    humanname: Option<String>,
    /// Has no meaning here: `apt-key` is not used in any case.
    #[expect(dead_code, reason = "accepted because trees have it")]
    aptkey: Option<bool>,
    /// Has no meaning here: one file is looked at.
    #[expect(dead_code, reason = "accepted because trees have it")]
    consolidate: Option<bool>,
}

#[derive(Debug)]
pub(crate) struct Managed {
    source: Source,
    key: Option<Key>,
    refresh: bool,
}

#[derive(Debug)]
enum Source {
    Line {
        entry: Entry,
        file: String,
        clean: bool,
    },
    /// `user/name`.
    Ppa(String),
}

const LIST: &str = "/etc/apt/sources.list";
const YUM: &str = "it is for yum and dnf";

impl State for Managed {
    const NAME: &'static str = "pkgrepo.managed";
    const SOURCE: &'static str = include_str!("pkgrepo.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[
        ("ppa_auth", "write the archive's line, with its credentials in `/etc/apt/auth.conf.d`"),
        ("allow_insecure_key", "a key is fetched by the address as it is written"),
        ("comments", "write them into the file by `file.managed`"),
        ("baseurl", YUM),
        ("mirrorlist", YUM),
        ("metalink", YUM),
        ("gpgcheck", YUM),
        ("gpgkey", YUM),
        ("copr", YUM),
        ("gpgautoimport", "it is for zypper"),
    ];
    const LAX: bool = true;

    type Arguments = Arguments;

    fn declare(a: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let refresh = a.refresh && a.refresh_db != Some(false);
        if let Some(ppa) = a.ppa.as_deref().or_else(|| a.name.strip_prefix("ppa:")) {
            let source = Source::Ppa(ppa.trim_start_matches("ppa:").to_owned());
            return Ok(Managed { source, key: None, refresh });
        }
        let mut entry = Entry::parse(&a.name).ok_or_else(|| {
            let problem = cx.error("name", format!("`{}` is not a line of sources.list(5)", a.name));
            vec![problem.hint("write it as `deb https://… bookworm main`")]
        })?;
        if let Some(dist) = a.dist {
            entry.suite = dist;
        }
        let split = |Texts(items): Texts| -> Vec<String> {
            items.iter().flat_map(|i| i.split(',')).map(|i| i.trim().to_owned()).collect()
        };
        if let Some(comps) = a.comps {
            entry.components = split(comps);
        }
        if let Some(architectures) = a.architectures {
            entry.set("arch", &split(architectures).join(","));
        }
        if let Some(path) = &a.signedby {
            entry.set("signed-by", path);
        }
        if a.trusted == Some(true) {
            entry.set("trusted", "yes");
        }
        if entry.suite.is_empty() {
            return Err(vec![cx.error("name", "it does not say which release; add `dist`")]);
        }
        entry.disabled = entry.disabled || a.disabled || a.enabled == Some(false);
        let Texts(ids) = a.keyid.unwrap_or_default();
        let signed_by = entry.option("signed-by").filter(|path| path.starts_with('/'));
        let key = match (a.key_url.as_deref(), a.key_text) {
            (Some(url), _) if url.starts_with("salt://") => {
                let bytes = cx.read("key_url", url).map_err(|problem| vec![problem])?;
                Some(Key::given(bytes, url, signed_by))
            }
            (Some(url), _) => Some(Key::fetched(vec![url.to_owned()], url, signed_by)),
            (None, Some(text)) => Some(Key::given(text.into_bytes(), &entry.suite, signed_by)),
            (None, None) if !ids.is_empty() => match &a.keyserver {
                Some(server) => Some(Key::of_server(server, &ids, signed_by)),
                None => return Err(vec![cx.error("keyid", "`keyserver` has to be given beside it")]),
            },
            (None, None) => None,
        };
        if let Some(Key::Given { path, bytes }) = &key
            && bytes.is_empty()
        {
            return Err(vec![cx.error("key_url", format!("the key for `{path}` cannot be read"))]);
        }
        let file = a.file.unwrap_or_else(|| LIST.into());
        if !file.ends_with(".list") || !file.starts_with('/') {
            let problem =
                cx.error("file", format!("`{file}` is not a file of lines, whose name ends in `.list`"));
            return Err(vec![problem.hint("write a file of the newer kind (`.sources`) by `file.managed`")]);
        }
        Ok(Managed { source: Source::Line { entry, file, clean: a.clean_file }, key, refresh })
    }
}

/// Whether the host has lines for a Launchpad archive.
fn has_ppa(ppa: &str) -> Command {
    let pattern = format!("^[^#]*ppa[.]launchpad(content)?[.]net/{ppa}/");
    Command::words(["grep", "-rqsE", "-e", &pattern, LIST, "/etc/apt/sources.list.d"])
        .depends([Touch::Path("/etc/apt".into()), Touch::Packages])
}

impl Resource for Managed {
    fn questions(&self) -> Vec<Question> {
        let mut questions = match &self.source {
            Source::Line { file, .. } => vec![Question::Content(file.clone())],
            Source::Ppa(ppa) => vec![Question::Run(Box::new(has_ppa(ppa)))],
        };
        questions.extend(self.key.as_ref().map(Key::question));
        questions
    }

    fn contents(&self) -> Vec<Content> {
        self.key.iter().filter_map(Key::content).collect()
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        facts.need(self.questions())?;
        let mut steps = Vec::new();
        if let Some(key) = &self.key {
            steps.extend(key.step(facts)?);
        }
        steps.extend(self.source_step(facts)?);
        if !steps.is_empty() && self.refresh {
            steps.push(update());
        }
        Ok(steps)
    }
}

impl Managed {
    fn source_step(&self, facts: &Facts) -> Result<Option<Step>, Stop> {
        match &self.source {
            Source::Ppa(ppa) => {
                let look = has_ppa(ppa);
                if facts.run(&look)?.ok() {
                    return Ok(None);
                }
                let name = format!("ppa:{ppa}");
                let command = Command::words(["add-apt-repository", "-y", "-n", &name]);
                let there = kstate_core::question::Answer::Run(kstate_core::question::Ended::default());
                let run = Run::new(command, [Touch::Path("/etc/apt".into())])
                    .foretells(Question::Run(Box::new(look)), there);
                let change = Change::new(format!("package source {name}"), Value::Null, "added");
                Ok(Some(Step::new([change], Operation::Run(run))))
            }
            Source::Line { entry, file, clean } => {
                let old = facts.content(file)?;
                let before = old.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
                let after = if *clean {
                    format!("{entry}\n")
                } else {
                    line::with(before.as_deref().unwrap_or_default(), entry)
                };
                if before.as_deref() == Some(after.as_str()) {
                    return Ok(None);
                }
                Ok(Some(write(file, old.map(Vec::as_slice), after)))
            }
        }
    }
}

fn write(file: &str, old: Option<&[u8]>, after: String) -> Step {
    let change = text::change("package sources", file, old, after.as_bytes());
    let write = Write {
        path: file.to_owned(),
        bytes: after.into_bytes(),
        attributes: Attributes::default(),
        parents: Parents::Make(Attributes::default()),
        check: None,
        backup: None,
        follow: true,
    };
    Step::new([change], Operation::Write(write))
}

/// Fetches the lists. What they offer is asked again afterwards.
fn update() -> Step {
    let command = Command::shell(UPDATE).env("DEBIAN_FRONTEND", "noninteractive").told("apt-get update");
    let change = Change::new("package lists", Value::Null, "fetched");
    Step::new([change], Operation::Run(Run::new(command, [Touch::Anything])))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AbsentArguments {
    /// The line.
    name: String,
    /// The file that it stands in. Default: `/etc/apt/sources.list` and all files of `/etc/apt/sources.list.d`.
    file: Option<String>,
    /// The release, if the line has none.
    dist: Option<String>,
    /// Fetches the package lists after a change. Default: `True`.
    #[serde(default = "yes")]
    refresh: bool,
}

#[derive(Debug)]
pub(crate) struct Absent {
    entry: Entry,
    /// `None`: wherever it is.
    file: Option<String>,
    refresh: bool,
}

impl State for Absent {
    const NAME: &'static str = "pkgrepo.absent";
    const SOURCE: &'static str = include_str!("pkgrepo.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[
        ("ppa", "name the archive's line and its file"),
        ("keyid", "remove the keyring by `file.absent`"),
        ("copr", YUM),
    ];
    const LAX: bool = true;

    type Arguments = AbsentArguments;

    fn declare(a: AbsentArguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let mut entry = Entry::parse(&a.name).ok_or_else(|| {
            vec![cx.error("name", format!("`{}` is not a line of sources.list(5)", a.name))]
        })?;
        entry.suite = a.dist.unwrap_or(entry.suite);
        Ok(Absent { entry, file: a.file, refresh: a.refresh })
    }
}

impl Resource for Absent {
    fn questions(&self) -> Vec<Question> {
        match &self.file {
            Some(file) => vec![Question::Content(file.clone())],
            None => vec![Question::Content(LIST.into()), Question::Tree(PARTS.into())],
        }
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        facts.need(self.questions())?;
        let files = self.files(facts)?;
        facts.need(files.iter().map(|file| Question::Content(file.clone())))?;
        let mut steps = Vec::new();
        for file in &files {
            steps.extend(self.step(file, facts)?);
        }
        if !steps.is_empty() && self.refresh {
            steps.push(update());
        }
        Ok(steps)
    }
}

/// The folder of further sources.
const PARTS: &str = "/etc/apt/sources.list.d";

impl Absent {
    /// The files that may have the source.
    fn files(&self, facts: &Facts) -> Result<Vec<String>, Stop> {
        if let Some(file) = &self.file {
            return Ok(vec![file.clone()]);
        }
        let is_read = |path: &&String| path.ends_with(".list") || path.ends_with(".sources");
        let parts = facts.tree(PARTS)?.iter().map(|(path, _)| path);
        Ok(std::iter::once(LIST.to_owned()).chain(parts.filter(is_read).cloned()).collect())
    }

    /// A file of which nothing is left goes with its last source, as Salt does.
    fn step(&self, file: &str, facts: &Facts) -> Result<Option<Step>, Stop> {
        let Some(bytes) = facts.content(file)? else { return Ok(None) };
        let before = String::from_utf8_lossy(bytes);
        let after = match file.ends_with(".sources") {
            true => deb822::without(&before, &self.entry)
                .map_err(|reason| Stop::Failed(format!("`{file}`: {reason}")))?,
            false => line::without(&before, &self.entry),
        };
        if after == before {
            return Ok(None);
        }
        if after.trim().is_empty() && file != LIST {
            let change = text::change("package sources", file, Some(bytes), b"");
            return Ok(Some(Step::new([change], Operation::Remove { path: file.to_owned() })));
        }
        Ok(Some(write(file, Some(bytes), after)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare, declare_error, file, settles};

    const LINE: &str = "pg:\n  pkgrepo.managed:\n    - name: deb https://apt.example.org/ bookworm-pgdg main\n    - file: /etc/apt/sources.list.d/pg.list\n";
    const FILE: &str = "/etc/apt/sources.list.d/pg.list";

    fn facts(content: Option<&str>) -> Facts {
        let mut facts = Facts::default();
        file(&mut facts, FILE, content, 0o644);
        facts
    }

    #[test]
    fn a_line_that_is_there_needs_nothing() {
        let resource = declare(LINE, &Tree::default());
        let there = "# PostgreSQL\ndeb https://apt.example.org bookworm-pgdg  main\n";
        assert_eq!(resource.diff(&facts(Some(there))), Ok(Vec::new()));
    }

    #[test]
    fn a_missing_line_is_added_and_the_lists_are_fetched() {
        let resource = declare(LINE, &Tree::default());
        let mut facts = facts(None);
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(steps.len(), 2);
        let diff = steps[0].changes[0].diff.as_deref().unwrap();
        assert!(diff.contains("+deb https://apt.example.org/ bookworm-pgdg main"), "{diff}");
        settles(&*resource, &mut facts);
    }

    #[test]
    fn other_components_replace_the_line_and_others_stay() {
        let resource = declare(LINE, &Tree::default());
        let mut facts = facts(Some(
            "deb https://other.example.org/ x main\ndeb https://apt.example.org/ bookworm-pgdg main 14\n",
        ));
        let Operation::Write(write) = &resource.diff(&facts).unwrap()[0].operation else { panic!() };
        assert_eq!(
            String::from_utf8_lossy(&write.bytes),
            "deb https://other.example.org/ x main\ndeb https://apt.example.org/ bookworm-pgdg main\n"
        );
        settles(&*resource, &mut facts);
    }

    #[test]
    fn a_key_of_the_tree_goes_where_the_line_says() {
        let key =
            b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\naGVsbG8=\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n";
        let tree = Tree { files: [("salt://pg.asc", &key[..])].into(), ..Tree::default() };
        let text = LINE.replace("deb https", "deb [signed-by=/etc/apt/keyrings/pg.gpg] https");
        let resource = declare(&format!("{text}    - key_url: salt://pg.asc\n"), &tree);
        let mut facts = facts(None);
        file(&mut facts, "/etc/apt/keyrings/pg.gpg", None, 0);
        let Operation::Write(write) = &resource.diff(&facts).unwrap()[0].operation else { panic!() };
        assert_eq!((write.path.as_str(), &write.bytes[..]), ("/etc/apt/keyrings/pg.gpg", &b"hello"[..]));
        settles(&*resource, &mut facts);
    }

    #[test]
    fn a_key_of_an_address_is_fetched_once() {
        let resource =
            declare(&format!("{LINE}    - key_url: https://example.org/pg.asc\n"), &Tree::default());
        let mut facts = facts(None);
        file(&mut facts, "/etc/apt/trusted.gpg.d/pg.asc", None, 0);
        let told = resource.diff(&facts).unwrap()[0].changes[0].to_string();
        assert_eq!(told, "key /etc/apt/trusted.gpg.d/pg.asc: of https://example.org/pg.asc");
        settles(&*resource, &mut facts);
    }

    #[test]
    fn without_a_file_the_line_goes_wherever_it_is() {
        let text = "deb https://apt.example.org/ bookworm-pgdg main:\n  pkgrepo.absent: []\n";
        let resource = declare(text, &Tree::default());
        let mut facts = facts(Some("deb https://apt.example.org/ bookworm-pgdg main\n"));
        let sources = "/etc/apt/sources.list.d/other.sources";
        file(&mut facts, LIST, Some("deb https://deb.example.org/ bookworm main\n"), 0o644);
        let stanza =
            "Types: deb\nURIs: https://apt.example.org\nSuites: bookworm-pgdg next\nComponents: main\n";
        file(&mut facts, sources, Some(stanza), 0o644);
        let kind = kstate_core::question::PathKind::File;
        let entries =
            [FILE, sources, "/etc/apt/sources.list.d/README"].map(|path| (path, kind.clone(), 0o644, "root"));
        crate::testing::tree(&mut facts, PARTS, &entries);
        let steps = resource.diff(&facts).unwrap();
        assert!(matches!(&steps[0].operation, Operation::Remove { path } if path == FILE));
        assert!(matches!(&steps[1].operation, Operation::Write(write) if write.path == sources));
        assert_eq!(steps.len(), 3);
        settles(&*resource, &mut facts);
    }

    #[test]
    fn an_unwanted_line_goes_and_its_file_with_it() {
        let text = LINE.replace("managed", "absent");
        let mut facts = facts(Some("deb https://apt.example.org/ bookworm-pgdg main\n"));
        let resource = declare(&text, &Tree::default());
        assert!(matches!(resource.diff(&facts).unwrap()[0].operation, Operation::Remove { .. }));
        settles(&*resource, &mut facts);
    }

    #[test]
    fn what_is_no_line_is_told() {
        let error =
            declare_error("x:\n  pkgrepo.managed:\n    - name: https://example.org\n", &Tree::default());
        assert!(error.contains("is not a line of sources.list(5)"), "{error}");
    }
}
