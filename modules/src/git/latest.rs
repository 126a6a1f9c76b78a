//! `git.latest`: a checkout that follows its remote
//!
//! ```yaml
//! https://github.com/open-contracting/kingfisher-process.git:
//!   git.latest:
//!     - target: /home/ocdskfp/ocdskingfisherprocess
//!     - user: ocdskfp
//!     - rev: master
//!     - branch: master
//!     - force_fetch: True
//!     - force_reset: True
//! ```
//!
//! The difference lists the commits that would come and those that would be lost, each with its author, date, title and the
//! paths that it touches, and local changes that would be discarded. For that the new objects are fetched into the
//! repository; no branch and no file changes by it. Of many commits the first are shown, and how many there are besides; JSON
//! has all, up to 5000.
//!
//! A deployment that assumes that some files stay as they are says so, and stops where they do not:
//!
//! ```yaml
//! https://github.com/open-contracting/cove-ocds.git:
//!   git.latest:
//!     - target: /home/cove/cove
//!     - rev: main
//!     - hold_if_changed: [requirements.txt]
//! ```
//!
//! The configuration and the hooks of a checkout are programs of whoever can change them. kstate runs git there only as `user`, if nobody
//! but that user and root owns them; for root nobody else may be able to change the checkout or a directory above it. Otherwise the state
//! fails before git looks at anything, and names the user to declare.
//!
//! What was shown is what is checked out, even if the remote has moved on since: a plan (`kstate diff --out FILE`) and the question of
//! `kstate apply` pin the commit. If that is not in the branch any more, the state fails.

use std::fmt;

use kstate_core::question::{Answer, Ended, PathInfo, PathKind};
use kstate_core::words::quote;
use kstate_core::{
    Change, Command, Facts, Hold, Operation, Place, Problem, Question, Resource, Run, Step, Stop, Touch,
    Value,
};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::commit::{checked_out, commit_of, inside};
use super::log::{self, Commit};
use super::seen::{Kind, Seen, Target, Where, short};
use super::trust::refusal;
use crate::kinds::{Texts, yes};
use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The address of the remote repository.
    name: String,
    /// The directory of the checkout.
    target: String,
    /// The branch, tag or commit of the remote. Default: `HEAD`, its default branch.
    #[serde(default = "head")]
    rev: String,
    /// The local branch to check it out into. Default: whichever is checked out.
    branch: Option<String>,
    /// The user to run git as, with that user's login environment. Default: root.
    user: Option<String>,
    /// `False` only fetches. Default: `True`.
    #[serde(default = "yes")]
    update_head: bool,
    /// Discards local changes where another branch has to be checked out. Default: `False`.
    #[serde(default)]
    force_checkout: bool,
    /// Replaces a directory that is not a repository. Default: `False`.
    #[serde(default)]
    force_clone: bool,
    /// Follows a branch that was rewritten at the remote. Default: `False`.
    #[serde(default)]
    force_fetch: bool,
    /// Discards local commits and changes. `remote-changes`: only when the remote has something new. Default: `False`.
    #[serde(default)]
    force_reset: Reset,
    /// Updates submodules. Default: `False`.
    #[serde(default)]
    submodules: bool,
    /// The remote's name in the checkout. Default: `origin`.
    #[serde(default = "origin")]
    remote: String,
    /// Fetches all tags when something is fetched. Default: `True`.
    #[serde(default = "yes")]
    fetch_tags: bool,
    /// Deletes tags, when something is fetched, that the remote does not have. Default: `True`.
    #[serde(default = "yes")]
    sync_tags: bool,
    /// The number of commits to clone. An update fetches what has come since, whatever their number.
    depth: Option<u32>,
    /// Private keys on the host, for addresses with SSH.
    identity: Option<Texts>,
    /// Which branches are fetched, as a pattern. Default: `*`.
    #[serde(default = "any")]
    refspec_branch: String,
    /// Which tags are fetched, as a pattern. Default: `*`.
    #[serde(default = "any")]
    refspec_tag: String,
    /// Paths below the checkout: a file, a directory, or a pattern whose `*` also stands for `/`. If a commit that comes or is
    /// lost touches one, `diff` says so, and `apply` changes nothing on the host unless `--accept PATH` lets it pass. Salt's
    /// `git.latest` knows no such argument and fails with it.
    hold_if_changed: Option<Texts>,
    /// Has no meaning here: names are UTF-8.
    #[expect(dead_code, reason = "accepted because trees have it")]
    output_encoding: Option<String>,
}

fn head() -> String {
    "HEAD".into()
}

fn origin() -> String {
    "origin".into()
}

fn any() -> String {
    "*".into()
}

/// What may be discarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reset {
    #[default]
    Never,
    WithRemoteChanges,
    Always,
}

impl<'de> Deserialize<'de> for Reset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Reset;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`True`, `False` or `remote-changes`")
            }

            fn visit_bool<E>(self, v: bool) -> Result<Reset, E> {
                Ok(if v { Reset::Always } else { Reset::Never })
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<Reset, E> {
                match v {
                    "remote-changes" => Ok(Reset::WithRemoteChanges),
                    _ => Err(E::invalid_value(de::Unexpected::Str(v), &self)),
                }
            }
        }
        deserializer.deserialize_any(Words)
    }
}

#[derive(Debug)]
pub(crate) struct Latest {
    arguments: Arguments,
    identity: Vec<String>,
    held: Vec<String>,
    /// The commit to bring in place of what `rev` means by then.
    pin: Option<String>,
}

impl State for Latest {
    const NAME: &'static str = "git.latest";
    const SOURCE: &'static str = include_str!("latest.rs");
    const UNSUPPORTED: &'static [(&'static str, &'static str)] = &[
        ("bare", "only checkouts are managed; make a bare repository by `cmd.run` with `creates`"),
        ("mirror", "only checkouts are managed; make a mirror by `cmd.run` with `creates`"),
        (
            "https_user",
            "give the user's git a credential store or a `.netrc`, which stays out of the checkout",
        ),
        (
            "https_pass",
            "give the user's git a credential store or a `.netrc`, which stays out of the checkout",
        ),
        ("password", "it is for Windows"),
    ];

    type Arguments = Arguments;

    fn declare(arguments: Arguments, cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        if !arguments.target.starts_with('/') {
            let message = format!("`{}` is not an absolute path", arguments.target);
            problems.push(cx.error("target", message));
        }
        let Texts(identity) = arguments.identity.clone().unwrap_or_default();
        if let Some(path) = identity.iter().find(|path| !path.starts_with(['/', '~'])) {
            let problem = cx.error("identity", format!("`{path}` is not a path on the host"));
            problems.push(problem.hint("put the key there by `file.managed`, and name that path"));
        }
        let Texts(held) = arguments.hold_if_changed.clone().unwrap_or_default();
        if let Some(path) = held.iter().find(|path| path.is_empty() || path.starts_with(['/', ':'])) {
            problems.push(cx.error("hold_if_changed", format!("`{path}` is not a path below the checkout")));
        }
        for (argument, value) in [("rev", &arguments.rev), ("name", &arguments.name)] {
            if value.is_empty() || value.starts_with('-') {
                problems.push(cx.error(argument, format!("`{value}` cannot be used")));
            }
        }
        if arguments.depth.is_some() && arguments.rev == "HEAD" {
            problems.push(cx.error("depth", "`rev` has to name a branch or a tag beside it"));
        }
        if problems.is_empty() { Ok(Latest { arguments, identity, held, pin: None }) } else { Err(problems) }
    }
}

impl Resource for Latest {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Run(Box::new(self.look()))]
    }

    fn places(&self) -> Vec<Place> {
        vec![Place::whole(&*self.arguments.target)]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let seen = Seen::read(facts.run(&self.look())?).map_err(Stop::Failed)?;
        if seen.settled {
            return Ok(Vec::new());
        }
        if let Some((who, path)) = &seen.dubious {
            let user = self.arguments.user.as_deref().unwrap_or("root");
            return Err(Stop::Failed(refusal(user, who, path)));
        }
        if seen.unable {
            return Ok(vec![self.clone_step(&seen)]);
        }
        if let Some(why) = &seen.broken {
            return Err(Stop::Failed(format!(
                "`{0}` has a `.git` that is no repository ({why}); repair it, or move `{0}` away",
                self.arguments.target
            )));
        }
        if let Some(reason) = &seen.unreachable {
            return Err(Stop::Failed(format!("`{}` cannot be read: {reason}", self.arguments.name)));
        }
        if let (Some(pin), Some(now)) = (&self.pin, &seen.moved_away) {
            let (pin, now, rev) = (short(pin), short(now), &self.arguments.rev);
            return Err(Stop::Failed(format!(
                "`{rev}` was rewritten at the remote: it is at {now}, and {pin}, which was planned, is not in it any more"
            )));
        }
        if seen.kind == Kind::None || seen.missing {
            let Arguments { name, rev, .. } = &self.arguments;
            return Err(Stop::Failed(format!("`{name}` has no branch, tag or commit `{rev}`")));
        }
        if self.arguments.depth.is_some() && seen.kind == Kind::Commit {
            return Err(Stop::Failed("`depth` needs a `rev` that is a branch or a tag".into()));
        }
        let target = &self.arguments.target;
        match seen.target {
            Target::Absent | Target::Empty => Ok(vec![self.clone_step(&seen)]),
            Target::Foreign if self.arguments.force_clone => Ok(vec![self.clone_step(&seen)]),
            Target::Foreign => Err(Stop::Failed(format!(
                "`{target}` is not empty and not a git repository; `force_clone: True` would replace what is in it"
            ))),
            Target::File => Err(Stop::Failed(format!("`{target}` is not a directory"))),
            Target::Repository => self.update(&seen),
        }
    }

    fn holds(&self, facts: &Facts) -> Result<Vec<Hold>, Stop> {
        if self.held.is_empty() || !self.arguments.update_head {
            return Ok(Vec::new());
        }
        Ok(log::holds(&Seen::read(facts.run(&self.look())?).map_err(Stop::Failed)?.held))
    }

    fn revision(&self, facts: &Facts) -> Result<Option<String>, Stop> {
        let seen = Seen::read(facts.run(&self.look())?).map_err(Stop::Failed)?;
        let wanted = Some(seen.wanted()).filter(|commit| !commit.is_empty() && self.arguments.update_head);
        Ok(wanted.map(str::to_owned))
    }

    fn pin(&mut self, revision: &str) {
        self.pin = Some(revision.to_owned());
    }
}

/// What has to be done about an existing repository.
#[derive(Debug, Default)]
struct Plan {
    set_url: bool,
    fetch: bool,
    checkout: bool,
    move_head: bool,
    upstream: bool,
    submodules: bool,
}

/// Removes what is in the target.
const EMPTY: &str = "find \"$t\" -mindepth 1 -delete";

impl Latest {
    fn place(&self) -> Where<'_> {
        Where {
            url: &self.arguments.name,
            target: &self.arguments.target,
            rev: &self.arguments.rev,
            branch: self.arguments.branch.as_deref(),
            remote: &self.arguments.remote,
            identity: &self.identity,
            submodules: self.arguments.submodules,
            held: &self.held,
            pin: self.pin.as_deref(),
        }
    }

    fn named(&self) -> Touch {
        checked_out(&self.arguments.target)
    }

    fn inner(&self) -> Touch {
        inside(&self.arguments.target)
    }

    fn look(&self) -> Command {
        let mut depends = vec![self.named(), self.inner(), Touch::Packages];
        depends.extend(self.arguments.user.is_some().then_some(Touch::Accounts));
        Command::shell(self.place().script())
            .user(self.arguments.user.as_deref())
            .dir(Some("/"))
            .depends(depends)
    }

    /// The tracking branch that is wanted. `None`: none of our business. Salt: a tag or commit has none.
    fn upstream(&self, seen: &Seen) -> Option<String> {
        match seen.kind {
            Kind::Branch => Some(format!("{}/{}", self.arguments.remote, self.arguments.rev)),
            Kind::Tag | Kind::Commit => Some(String::new()),
            Kind::Head | Kind::None => None,
        }
    }

    fn update(&self, seen: &Seen) -> Result<Vec<Step>, Stop> {
        let a = &self.arguments;
        if seen.new.is_empty() {
            return match seen.old.is_empty() {
                true => Ok(Vec::new()),
                false => Err(Stop::Failed(format!("`{}` is empty, and `{}` is not", a.name, a.target))),
            };
        }
        let other_branch = a.branch.as_ref().is_some_and(|branch| *branch != seen.current);
        let up_to_date = seen.is_wanted(&seen.base) || (seen.base.is_empty() && other_branch);
        let discards = !seen.dirty.is_empty() && a.force_reset == Reset::Always;
        let plan = Plan {
            set_url: seen.url != a.name,
            fetch: seen.full.is_none() || (seen.kind == Kind::Branch && seen.seen != seen.new),
            checkout: other_branch && a.update_head,
            move_head: (!up_to_date || discards) && a.update_head,
            upstream: a.update_head
                && !(a.branch.is_none() && seen.current.is_empty())
                && self.upstream(seen).is_some_and(|wanted| wanted != seen.upstream),
            submodules: !seen.submodules.is_empty() && a.update_head,
        };
        self.refuse(seen, &plan, up_to_date)?;
        let changes = self.changes(seen, &plan);
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![Step::new(changes, self.update_run(seen, &plan))])
    }

    /// What Salt refuses unless it is told to go on.
    fn refuse(&self, seen: &Seen, plan: &Plan, up_to_date: bool) -> Result<(), Stop> {
        let a = &self.arguments;
        let fail = |message: String| Err(Stop::Failed(message));
        let dirty = seen.dirty.len();
        if seen.rewritten && plan.fetch && !a.force_fetch {
            return fail(format!(
                "`{}` was rewritten at the remote; `force_fetch: True` would follow it",
                a.rev
            ));
        }
        if plan.checkout && dirty > 0 && !a.force_checkout && a.force_reset == Reset::Never {
            return fail(format!(
                "{dirty} files have local changes, and `{}` has to be checked out; `force_checkout: True` would discard them",
                a.branch.as_deref().unwrap_or_default()
            ));
        }
        let overwrites = a.force_reset != Reset::Never || (plan.checkout && a.force_checkout);
        if (plan.move_head || plan.checkout) && !overwrites && !seen.in_the_way.is_empty() {
            return fail(format!(
                "{} in the way of what has to be checked out, and git does not know {}; move it away, or `force_reset: True` would overwrite it",
                match seen.in_the_way.as_slice() {
                    [one] => format!("`{one}` is"),
                    many => format!("{} files are (`{}`, …)", many.len(), many[0]),
                },
                if seen.in_the_way.len() == 1 { "it" } else { "them" },
            ));
        }
        if !plan.move_head || up_to_date || a.force_reset != Reset::Never {
            return Ok(());
        }
        if dirty > 0 {
            return fail(format!(
                "{dirty} files have local changes ({}); `force_reset: True` would discard them",
                seen.dirty.iter().take(3).map(|line| line.trim()).collect::<Vec<_>>().join(", ")
            ));
        }
        if seen.full.is_some() && !seen.base.is_empty() && !seen.forward {
            return fail(format!(
                "{} has {} commits that {} does not have; `force_reset: True` would discard them: {}",
                short(&seen.base),
                seen.count.1,
                short(seen.wanted()),
                seen.goes.iter().take(3).map(Commit::name).collect::<Vec<_>>().join("; ")
            ));
        }
        Ok(())
    }

    fn changes(&self, seen: &Seen, plan: &Plan) -> Vec<Change> {
        let a = &self.arguments;
        let some = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
        let mut changes = Vec::new();
        if plan.set_url {
            changes.push(Change::new(format!("remote {}", a.remote), some(&seen.url), a.name.as_str()));
        }
        if plan.checkout {
            let branch = a.branch.as_deref().unwrap_or_default();
            changes.push(Change::new("branch", some(&seen.current), branch));
        }
        if !seen.is_wanted(&seen.old) && (plan.move_head || plan.checkout) {
            changes.push(self.revision(seen));
        }
        if plan.move_head && !seen.dirty.is_empty() {
            let lines: String = seen.dirty.iter().map(|line| format!("-{line}\n")).collect();
            let subject = format!("local changes in {} files", seen.dirty.len());
            changes.push(Change::new(subject, Value::Null, "discarded").diff(lines));
        }
        if plan.fetch && (changes.is_empty() || plan.set_url && changes.len() == 1) {
            let before = some(short(&seen.seen));
            changes.push(Change::new(format!("{}/{}", a.remote, a.rev), before, short(&seen.new)));
        }
        if plan.upstream {
            let wanted = self.upstream(seen).unwrap_or_default();
            let after = if wanted.is_empty() { "none".into() } else { wanted };
            changes.push(Change::new("tracking branch", some(&seen.upstream), after));
        }
        if plan.submodules {
            changes.push(Change::new("submodules", Value::Null, seen.submodules.join(", ")));
        }
        changes
    }

    /// From commit to commit, with what lies between.
    fn revision(&self, seen: &Seen) -> Change {
        let mut after = short(seen.wanted()).to_owned();
        if seen.full.is_some() && seen.count != (0, 0) {
            let (comes, goes) = seen.count;
            let word = |n: u32| if n == 1 { "commit" } else { "commits" };
            after.push_str(&format!(" ({comes} {}", word(comes)));
            if goes > 0 {
                after.push_str(&format!(", and {goes} {} lost", word(goes)));
            }
            after.push(')');
        }
        let before = if seen.old.is_empty() { Value::Null } else { short(&seen.old).into() };
        let mut lines = format!(" {}..{after}\n", short(&seen.old));
        lines.push_str(&log::told(&seen.goes, '-', seen.count.1));
        lines.push_str(&log::told(&seen.comes, '+', seen.count.0));
        let change = Change::new("revision", before, after);
        if seen.count == (0, 0) {
            return change;
        }
        let (commits, lost) = (log::values(&seen.comes), log::values(&seen.goes));
        change.diff(lines).detail("commits", commits).detail("lost", lost)
    }

    fn fetch(&self) -> String {
        let a = &self.arguments;
        let mut words = vec!["--no-tags".to_owned()];
        words.push("--".into());
        words.push(a.remote.clone());
        words.push(format!("+refs/heads/{0}:refs/remotes/{1}/{0}", a.refspec_branch, a.remote));
        if a.fetch_tags {
            words.push(format!("+refs/tags/{0}:refs/tags/{0}", a.refspec_tag));
        }
        let mut script = format!(
            "timeout -k 5 1800 git -C \"$t\" fetch -q {} || exit\n",
            kstate_core::words::join(&words)
        );
        if a.fetch_tags && a.sync_tags {
            script.push_str(
                "there=$(timeout -k 5 60 git ls-remote --tags --refs -- \"$u\" | sed 's|.*refs/tags/||') && g tag -l | while read -r tag; do\n\
                 printf '%s\\n' \"$there\" | grep -qxF -- \"$tag\" || g tag -d \"$tag\" >/dev/null\ndone\n",
            );
        }
        script
    }

    fn tail(&self, seen: &Seen, upstream: bool, submodules: bool) -> String {
        let mut script = String::new();
        if upstream {
            match self.upstream(seen).as_deref() {
                Some("") => script.push_str("g branch -q --unset-upstream 2>/dev/null\n"),
                Some(name) => script
                    .push_str(&format!("g branch -q --set-upstream-to={} >/dev/null || exit\n", quote(name))),
                None => {}
            }
        }
        if submodules {
            script.push_str("g submodule --quiet update --init --recursive || exit\n");
        }
        script
    }

    fn update_run(&self, seen: &Seen, plan: &Plan) -> Operation {
        let a = &self.arguments;
        let mut script = self.place().to_change();
        if plan.set_url {
            script.push_str(
                "if g config --get \"remote.$r.url\" >/dev/null; then g remote set-url \"$r\" \"$u\"; else g remote add \"$r\" \"$u\"; fi || exit\n",
            );
        }
        if plan.fetch {
            script.push_str(&self.fetch());
        }
        let new = quote(seen.wanted());
        if plan.checkout {
            let force = if a.force_checkout || a.force_reset != Reset::Never { "-f " } else { "" };
            if seen.base.is_empty() {
                script.push_str(&format!("g checkout -q {force}-b \"$b\" {new} -- || exit\n"));
            } else {
                script.push_str(&format!("g checkout -q {force}\"$b\" -- || exit\n"));
            }
        }
        if plan.move_head {
            if a.force_reset == Reset::Never || (seen.forward && seen.dirty.is_empty()) {
                script.push_str(&format!("g merge -q --ff-only {new} >/dev/null || exit\n"));
            } else {
                script.push_str(&format!("g reset -q --hard {new} -- || exit\n"));
            }
        }
        let moves = plan.move_head || plan.checkout;
        script.push_str(&self.tail(seen, plan.upstream, a.submodules && moves || plan.submodules));
        let run = self.run(script, self.touched(seen, moves));
        if moves { self.at(run, seen.wanted()).into() } else { run.into() }
    }

    /// Which files an update changes: those that differ, those with local changes, all where that is not known.
    fn touched(&self, seen: &Seen, moves: bool) -> Vec<Touch> {
        const TOO_MANY: usize = 5000;
        let target = self.arguments.target.trim_end_matches('/');
        let mut touches = vec![self.named(), self.inner()];
        let is_known = seen.full.is_some() && seen.files.len() <= TOO_MANY && !self.arguments.submodules;
        if !moves {
        } else if is_known {
            let dirty = seen.dirty.iter().filter_map(|line| line.get(3..));
            let files = seen.files.iter().map(String::as_str).chain(dirty);
            touches.extend(files.map(|file| Touch::Path(format!("{target}/{file}"))));
        } else {
            touches.push(Touch::Path(target.to_owned()));
        }
        touches
    }

    fn clone_step(&self, seen: &Seen) -> Step {
        let a = &self.arguments;
        let target = a.target.trim_end_matches('/');
        let commit = match seen.wanted() {
            "" => format!("{} (which commit that is cannot be told yet)", a.rev),
            commit => format!("{} ({})", short(commit), a.rev),
        };
        let mut changes = vec![Change::new(format!("clone of {}", a.name), Value::Null, commit)];
        let mut words = vec!["clone", "-q", "--origin", &a.remote];
        // Nothing but what was shown is ever checked out.
        let is_known = !seen.wanted().is_empty();
        if is_known {
            words.push("--no-checkout");
        }
        let depth = a.depth.map(|depth| depth.to_string());
        if let Some(depth) = &depth {
            words.extend(["--depth", depth, "--no-single-branch", "--branch", &a.rev]);
        }
        let clone = kstate_core::words::join(&words);
        let mut script = self.place().to_change();
        let clone_into = |place: &str, undo: &str| {
            let mut script = format!("timeout -k 5 1800 git {clone} -- \"$u\" {place} || exit\n");
            if is_known {
                let (commit, lost) = (seen.wanted(), short(seen.wanted()));
                script.push_str(&format!(
                    "[ -n \"$(git -C {place} for-each-ref --count=1 --contains {commit} 2>/dev/null)\" ] || {{ {undo}; echo '{lost} is not in what was cloned' >&2; exit 1; }}\n"
                ));
            }
            script
        };
        match seen.target {
            Target::Foreign => {
                changes.push(Change::new(format!("what is in {target}"), Value::Null, "removed"));
                script.push_str(&format!("{EMPTY} || exit\n{}", clone_into("\"$t\"", EMPTY)));
            }
            Target::Empty => script.push_str(&clone_into("\"$t\"", EMPTY)),
            // Beside the target, so that a broken connection does not leave half of it there.
            _ => {
                script.push_str("t=${t%/}; p=$t.kstate-clone; rm -rf -- \"$p\"\n");
                script.push_str(&clone_into("\"$p\"", "rm -rf -- \"$p\""));
                script.push_str(
                    "if [ -d \"$t\" ]; then rmdir -- \"$t\" || exit; fi\nmv -T -- \"$p\" \"$t\" || exit\n",
                );
            }
        }
        script.push_str(&self.first_checkout(seen));
        let info = PathInfo {
            kind: PathKind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            user: a.user.clone().unwrap_or_else(|| "root".into()),
            group: a.user.clone().unwrap_or_else(|| "root".into()),
            size: 4096,
        };
        let touches = [self.named(), Touch::Path(target.to_owned()), Touch::Above(target.to_owned())];
        let run = self
            .run(script, touches)
            .foretells(Question::Path(target.to_owned()), Answer::Path(Some(info.clone())))
            .foretells(Question::Path(format!("{target}/")), Answer::Path(Some(info)));
        Step::new(changes, Operation::Run(self.at(run, seen.wanted())))
    }

    /// After a clone: `branch` at `rev`.
    fn first_checkout(&self, seen: &Seen) -> String {
        let rev = &self.arguments.rev;
        let new = match seen.kind {
            Kind::None if rev == "HEAD" => "HEAD".to_owned(),
            // The remote was not asked: the branch of this name, else the tag or commit.
            Kind::None => {
                "\"$(g rev-parse -q --verify \"refs/remotes/$r/$rev^{commit}\" || g rev-parse --verify \"$rev^{commit}\")\"".into()
            }
            _ if seen.new.is_empty() => return String::new(),
            _ => quote(seen.wanted()),
        };
        let mut script = String::new();
        if self.arguments.branch.is_some() {
            script.push_str(&format!("g checkout -q -B \"$b\" {new} -- || exit\n"));
        } else if rev != "HEAD" || seen.kind != Kind::None {
            script.push_str(&format!("g reset -q --hard {new} -- || exit\n"));
        }
        if seen.kind == Kind::None && rev != "HEAD" {
            script.push_str(
                "if g rev-parse -q --verify \"refs/remotes/$r/$rev\" >/dev/null; then g branch -q --set-upstream-to=\"$r/$rev\" >/dev/null || exit; else g branch -q --unset-upstream 2>/dev/null; fi\n",
            );
            script.push_str(&self.tail(seen, false, self.arguments.submodules));
        } else {
            script.push_str(&self.tail(seen, true, self.arguments.submodules));
        }
        script.push_str("true\n");
        script
    }

    /// A run after which `commit` is checked out.
    fn at(&self, run: Run, commit: &str) -> Run {
        if commit.is_empty() {
            return run;
        }
        let there = Ended { stdout: format!("{commit}\n"), ..Ended::default() };
        run.foretells(Question::Run(Box::new(commit_of(&self.arguments.target))), Answer::Run(there))
    }

    fn run(&self, script: String, touches: impl Into<Vec<Touch>>) -> Run {
        let command = Command::shell(script)
            .user(self.arguments.user.as_deref())
            .dir(Some("/"))
            .told(format!("git, in {}", self.arguments.target));
        let settled = Ended { stdout: "settled\n".into(), ..Ended::default() };
        Run::new(command, touches).foretells(Question::Run(Box::new(self.look())), Answer::Run(settled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare, declare_error, settles};

    const APP: &str = "https://example.org/app.git:\n  git.latest:\n    - target: /srv/app/\n    - user: ann\n    - rev: master\n    - branch: master\n";
    const FORCED: &str = "    - force_fetch: True\n    - force_reset: True\n";

    const OLD: &str = "1111111111111111111111111111111111111111";
    const NEW: &str = "2222222222222222222222222222222222222222";

    fn checkout(more: &str) -> String {
        format!(
            "target repository\nkind branch\nnew {NEW}\nold {OLD}\ncurrent master\nbase {OLD}\n\
             url https://example.org/app.git\nupstream origin/master\nseen {OLD}\n{more}"
        )
    }

    fn up_to_date() -> String {
        checkout(&format!("full {NEW}\n")).replace(OLD, NEW)
    }

    fn newer() -> String {
        checkout(&format!(
            "full {NEW}\nforward\ncount 2 0\ncomes {NEW}\t2026-11-20T10:00:00+01:00\tAnn\tCount items\npath app.py\npath requirements.txt\ncomes 3333333\t2026-11-19T10:00:00+01:00\tBob\tCheck prefixes\npath app.py\nfile app.py\nfile requirements.txt\n"
        ))
    }

    fn facts(resource: &dyn Resource, stdout: &str) -> Facts {
        let mut facts = Facts::default();
        let ended = Ended { stdout: stdout.into(), ..Ended::default() };
        facts.learn(resource.questions()[0].clone(), Ok(Answer::Run(ended)));
        facts
    }

    fn changes(steps: &[Step]) -> Vec<String> {
        steps.iter().flat_map(|step| &step.changes).map(ToString::to_string).collect()
    }

    fn failure(text: &str, stdout: &str) -> String {
        let resource = declare(text, &Tree::default());
        match resource.diff(&facts(&*resource, stdout)) {
            Err(Stop::Failed(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_checkout_that_is_up_to_date_needs_nothing() {
        let resource = declare(APP, &Tree::default());
        assert_eq!(resource.diff(&facts(&*resource, &up_to_date())), Ok(Vec::new()));
    }

    #[test]
    fn lists_the_commits_that_come_and_touches_their_files_only() {
        let resource = declare(APP, &Tree::default());
        let mut facts = facts(&*resource, &newer());
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(changes(&steps), ["revision: 1111111 -> 2222222 (2 commits)"]);
        let diff = steps[0].changes[0].diff.as_deref();
        assert_eq!(
            diff,
            Some(
                " 1111111..2222222 (2 commits)\n+2222222 2026-11-20 Ann: Count items\n     app.py\n     requirements.txt\n\
                 +3333333 2026-11-19 Bob: Check prefixes\n     app.py\n"
            )
        );
        let commits = steps[0].changes[0].details.get("commits").and_then(Value::as_list).unwrap();
        assert_eq!(commits[0].as_map().unwrap().get("id"), Some(&NEW.into()));
        assert_eq!(
            commits[0].as_map().unwrap().get("paths").and_then(Value::as_list).map(<[_]>::len),
            Some(2)
        );
        let touches = steps[0].operation.touches();
        assert!(touches.contains(&Touch::Path("/srv/app/requirements.txt".into())));
        assert!(!touches.contains(&Touch::Path("/srv/app".into())));
        settles(&*resource, &mut facts);
        assert_eq!(facts.run(&commit_of("/srv/app")).unwrap().stdout, format!("{NEW}\n"));
    }

    #[test]
    fn clones_what_is_not_there() {
        let resource = declare(APP, &Tree::default());
        let mut facts = facts(&*resource, &format!("target absent\nkind branch\nnew {NEW}\n"));
        assert_eq!(
            changes(&resource.diff(&facts).unwrap()),
            ["clone of https://example.org/app.git: 2222222 (master)"]
        );
        settles(&*resource, &mut facts);
    }

    #[test]
    fn without_git_a_clone_can_still_be_told() {
        let resource = declare(APP, &Tree::default());
        let steps = resource.diff(&facts(&*resource, "nogit\n")).unwrap();
        assert_eq!(
            changes(&steps),
            ["clone of https://example.org/app.git: master (which commit that is cannot be told yet)"]
        );
    }

    #[test]
    fn a_user_who_is_yet_to_be_made_is_no_failure() {
        let resource = declare(APP, &Tree::default());
        let mut facts = Facts::default();
        let stderr =
            "su: user ann does not exist or the user entry does not contain all the required fields\n";
        let ended = Ended { status: 1, stderr: stderr.into(), ..Ended::default() };
        facts.learn(resource.questions()[0].clone(), Ok(Answer::Run(ended)));
        settles(&*resource, &mut facts);
    }

    #[test]
    fn local_commits_are_kept_unless_told_otherwise() {
        let diverged = checkout(&format!(
            "full {NEW}\ncount 1 1\ncomes {NEW}\t2026-11-20T10:00:00+01:00\tAnn\tCount items\ngoes {OLD}\t2026-11-20T10:00:00+01:00\tAnn\tTry something\npath app.py\nfile app.py\n"
        ));
        assert_eq!(
            failure(APP, &diverged),
            "1111111 has 1 commits that 2222222 does not have; `force_reset: True` would discard them: 1111111 Try something"
        );
        let resource = declare(&format!("{APP}{FORCED}"), &Tree::default());
        let mut facts = facts(&*resource, &diverged);
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(changes(&steps), ["revision: 1111111 -> 2222222 (1 commit, and 1 commit lost)"]);
        let diff = steps[0].changes[0].diff.as_deref().unwrap();
        assert!(diff.contains("-1111111 2026-11-20 Ann: Try something\n     app.py\n"), "{diff}");
        assert!(steps[0].operation.job().unwrap().script.contains("reset -q --hard 2222"));
        settles(&*resource, &mut facts);
    }

    #[test]
    fn local_changes_are_told_before_they_are_discarded() {
        let dirty = format!("{}dirty  M app.py\n", up_to_date());
        let resource = declare(APP, &Tree::default());
        assert_eq!(resource.diff(&facts(&*resource, &dirty)), Ok(Vec::new()));
        assert!(failure(APP, &format!("{}dirty  M app.py\n", newer())).contains("local changes (M app.py)"));
        let resource = declare(&format!("{APP}{FORCED}"), &Tree::default());
        let mut facts = facts(&*resource, &dirty);
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(changes(&steps), ["local changes in 1 files: discarded"]);
        assert_eq!(steps[0].changes[0].diff.as_deref(), Some("- M app.py\n"));
        settles(&*resource, &mut facts);
    }

    #[test]
    fn a_rewritten_branch_is_followed_only_if_told() {
        let rewritten = newer().replace("forward", "rewritten");
        assert_eq!(
            failure(APP, &rewritten),
            "`master` was rewritten at the remote; `force_fetch: True` would follow it"
        );
    }

    #[test]
    fn the_remote_is_what_the_configuration_says() {
        let resource = declare(APP, &Tree::default());
        let moved = up_to_date().replace("url https://example.org/app.git", "url git@old:app.git");
        let mut facts = facts(&*resource, &moved);
        assert_eq!(
            changes(&resource.diff(&facts).unwrap()),
            ["remote origin: git@old:app.git -> https://example.org/app.git"]
        );
        settles(&*resource, &mut facts);
    }

    #[test]
    fn another_branch_is_checked_out() {
        let resource = declare(APP, &Tree::default());
        let other = up_to_date().replace("current master", "current dev");
        let mut facts = facts(&*resource, &other);
        assert_eq!(changes(&resource.diff(&facts).unwrap()), ["branch: dev -> master"]);
        settles(&*resource, &mut facts);
    }

    #[test]
    fn what_else_stands_at_the_target_is_kept_unless_told_otherwise() {
        let foreign = format!("target foreign\nkind branch\nnew {NEW}\n");
        assert!(failure(APP, &foreign).contains("`force_clone: True` would replace"));
        let resource = declare(&format!("{APP}    - force_clone: True\n"), &Tree::default());
        settles(&*resource, &mut facts(&*resource, &foreign));
    }

    #[test]
    fn a_remote_that_is_silent_or_has_no_such_revision_is_told() {
        assert_eq!(
            failure(APP, "target absent\nunreachable 124\n"),
            "`https://example.org/app.git` cannot be read: no answer within 60 s"
        );
        assert_eq!(
            failure(APP, "target absent\nkind none\nnew \n"),
            "`https://example.org/app.git` has no branch, tag or commit `master`"
        );
    }

    #[test]
    fn a_tag_has_no_tracking_branch() {
        let tag = up_to_date().replace("kind branch", "kind tag");
        let resource = declare(APP, &Tree::default());
        let steps = resource.diff(&facts(&*resource, &tag)).unwrap();
        assert_eq!(changes(&steps), ["tracking branch: origin/master -> none"]);
    }

    #[test]
    fn only_fetches_where_the_checkout_shall_stay() {
        let resource = declare(&format!("{APP}    - update_head: False\n"), &Tree::default());
        let mut facts = facts(&*resource, &newer());
        let steps = resource.diff(&facts).unwrap();
        assert_eq!(changes(&steps), ["origin/master: 1111111 -> 2222222"]);
        assert!(!steps[0].operation.job().unwrap().script.contains("merge -q"));
        settles(&*resource, &mut facts);
        assert!(matches!(facts.run(&commit_of("/srv/app")), Err(Stop::Ask(_))));
    }

    #[test]
    fn an_unknown_argument_is_an_error() {
        let error = declare_error(&format!("{APP}    - branches: x\n"), &Tree::default());
        assert!(error.contains("`branches` is not an argument of it"), "{error}");
    }
}
