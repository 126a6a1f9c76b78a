//! `apache_module.enabled`, `apache_site.enabled`, `apache_conf.enabled` and their `disabled`: parts of Apache's
//! configuration on Debian that are linked in, or are not
//!
//! ```yaml
//! proxy_uwsgi:
//!   apache_module.enabled:
//!     - watch_in:
//!       - service: apache2
//! ```
//!
//! They are enabled and disabled by `a2enmod(8)` and its siblings, which know what a module depends on. Apache has to
//! be reloaded or restarted afterwards: let its service watch.

use std::marker::PhantomData;

use kstate_core::question::{Answer, PathInfo, PathKind};
use kstate_core::{Change, Command, Facts, Operation, Problem, Question, Resource, Run, Step, Stop, Touch};
use serde::Deserialize;

use crate::{Context, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// The module, site or configuration, by its name in the `…-available` folder.
    name: String,
}

/// What can be enabled.
pub(crate) trait Part: std::fmt::Debug + Send + Sync + 'static {
    const ENABLED: &'static str;
    const DISABLED: &'static str;
    /// `module`.
    const WORD: &'static str;
    /// `mods`: the folders are `mods-available` and `mods-enabled`.
    const FOLDER: &'static str;
    const ENDING: &'static str;
    const ENABLE: &'static str;
    const DISABLE: &'static str;
}

macro_rules! parts {
    ($($part:ident: $word:literal $folder:literal $ending:literal $enable:literal $disable:literal;)*) => {$(
        #[derive(Debug)]
        pub(crate) struct $part;

        impl Part for $part {
            const ENABLED: &'static str = concat!("apache_", $word, ".enabled");
            const DISABLED: &'static str = concat!("apache_", $word, ".disabled");
            const WORD: &'static str = $word;
            const FOLDER: &'static str = $folder;
            const ENDING: &'static str = $ending;
            const ENABLE: &'static str = $enable;
            const DISABLE: &'static str = $disable;
        }
    )*};
}

parts! {
    Module: "module" "mods" ".load" "a2enmod" "a2dismod";
    Site: "site" "sites" ".conf" "a2ensite" "a2dissite";
    Conf: "conf" "conf" ".conf" "a2enconf" "a2disconf";
}

pub(crate) type ModuleEnabled = Enabled<Module>;
pub(crate) type ModuleDisabled = Disabled<Module>;
pub(crate) type SiteEnabled = Enabled<Site>;
pub(crate) type SiteDisabled = Disabled<Site>;
pub(crate) type ConfEnabled = Enabled<Conf>;
pub(crate) type ConfDisabled = Disabled<Conf>;

#[derive(Debug)]
pub(crate) struct Enabled<P>(Link<P>);

#[derive(Debug)]
pub(crate) struct Disabled<P>(Link<P>);

#[derive(Debug)]
struct Link<P> {
    name: String,
    part: PhantomData<P>,
}

impl<P: Part> State for Enabled<P> {
    const NAME: &'static str = P::ENABLED;
    const SOURCE: &'static str = include_str!("apache_module.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Enabled(Link::new(&arguments.name)))
    }
}

impl<P: Part> State for Disabled<P> {
    const NAME: &'static str = P::DISABLED;
    const SOURCE: &'static str = include_str!("apache_module.rs");

    type Arguments = Arguments;

    fn declare(arguments: Arguments, _cx: &Context<'_>) -> Result<Self, Vec<Problem>> {
        Ok(Disabled(Link::new(&arguments.name)))
    }
}

impl<P: Part> Link<P> {
    fn new(name: &str) -> Self {
        let name = name.strip_suffix(P::ENDING).unwrap_or(name).to_owned();
        Link { name, part: PhantomData }
    }

    fn path(&self) -> String {
        format!("/etc/apache2/{}-enabled/{}{}", P::FOLDER, self.name, P::ENDING)
    }

    fn available(&self) -> String {
        format!("/etc/apache2/{}-available/{}{}", P::FOLDER, self.name, P::ENDING)
    }

    /// Fails if there is nothing to enable, and no packages come that may bring it.
    fn check(&self, facts: &Facts) -> Result<(), Stop> {
        let path = self.available();
        if facts.path(&path)?.is_some() || facts.may_bring(&Touch::Packages) {
            return Ok(());
        }
        let (word, name) = (P::WORD, &self.name);
        Err(Stop::Failed(format!("Apache has no {word} `{name}` to enable: `{path}` does not exist")))
    }

    fn change(&self, before: &str, after: &str) -> Change {
        Change::new(format!("Apache {} {}", P::WORD, self.name), before, after)
    }

    fn step(&self, enable: bool) -> Step {
        let (before, after) = if enable { ("disabled", "enabled") } else { ("enabled", "disabled") };
        // Disabling a module on which others depend, or one that the system needs, takes `-f`.
        let words: &[&str] = match enable {
            true => &[P::ENABLE, "-q", &self.name],
            false => &[P::DISABLE, "-q", "-f", &self.name],
        };
        let link = PathInfo {
            kind: PathKind::Symlink {
                target: format!("../{}-available/{}{}", P::FOLDER, self.name, P::ENDING),
                leads_to: None,
            },
            mode: 0o777,
            uid: 0,
            gid: 0,
            user: "root".into(),
            group: "root".into(),
            size: 0,
        };
        let folder = Touch::Path(format!("/etc/apache2/{}-enabled", P::FOLDER));
        let run = Run::new(Command::words(words.iter().copied()), [folder])
            .foretells(Question::Path(self.path()), Answer::Path(Some(link).filter(|_| enable)));
        Step::new([self.change(before, after)], Operation::Run(run))
    }
}

impl<P: Part> Resource for Enabled<P> {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Path(self.0.path())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        if facts.path(&self.0.path())?.is_some() {
            return Ok(Vec::new());
        }
        self.0.check(facts)?;
        Ok(vec![self.0.step(true)])
    }
}

impl<P: Part> Resource for Disabled<P> {
    fn questions(&self) -> Vec<Question> {
        vec![Question::Path(self.0.path())]
    }

    fn diff(&self, facts: &Facts) -> Result<Vec<Step>, Stop> {
        let Some(info) = facts.path(&self.0.path())? else { return Ok(Vec::new()) };
        if !matches!(info.kind, PathKind::Symlink { .. }) {
            let path = self.0.path();
            return Err(Stop::Failed(format!("`{path}` is not a link, so `{}` leaves it alone", P::DISABLE)));
        }
        Ok(vec![self.0.step(false)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, declare, file, settles, stands};

    const LOAD: &str = "/etc/apache2/mods-enabled/proxy_uwsgi.load";

    fn link() -> PathKind {
        PathKind::Symlink { target: "../x".into(), leads_to: None }
    }

    #[test]
    fn what_a2enmod_and_a2dismod_would_refuse_is_told_before() {
        let mut facts = Facts::default();
        file(&mut facts, LOAD, None, 0);
        file(&mut facts, "/etc/apache2/mods-available/proxy_uwsgi.load", None, 0);
        let enabled = declare("proxy_uwsgi:\n  apache_module.enabled: []\n", &Tree::default());
        assert!(
            matches!(enabled.diff(&facts), Err(Stop::Failed(why)) if why.contains("no module `proxy_uwsgi`"))
        );
        let package = Run::new(Command::words(["apt-get"]), [Touch::Packages]);
        facts.predict(&package.into(), "apache2");
        assert_eq!(enabled.diff(&facts).map(|steps| steps.len()), Ok(1));
        file(&mut facts, LOAD, Some("real"), 0o644);
        let disabled = declare("proxy_uwsgi:\n  apache_module.disabled: []\n", &Tree::default());
        assert!(matches!(disabled.diff(&facts), Err(Stop::Failed(why)) if why.contains("is not a link")));
    }

    #[test]
    fn an_enabled_module_needs_nothing() {
        let mut facts = Facts::default();
        stands(&mut facts, LOAD, link(), 0o777, "root");
        let text = "proxy_uwsgi:\n  apache_module.enabled: []\n";
        assert_eq!(declare(text, &Tree::default()).diff(&facts), Ok(Vec::new()));
        settles(&*declare("proxy_uwsgi:\n  apache_module.disabled: []\n", &Tree::default()), &mut facts);
    }

    #[test]
    fn a_module_is_enabled_by_apaches_own_tool() {
        let mut facts = Facts::default();
        file(&mut facts, LOAD, None, 0);
        file(&mut facts, "/etc/apache2/mods-available/proxy_uwsgi.load", Some("x"), 0o644);
        let resource = declare("proxy_uwsgi:\n  apache_module.enabled: []\n", &Tree::default());
        let steps = resource.diff(&facts).unwrap();
        assert!(steps[0].operation.job().unwrap().script.contains("a2enmod -q proxy_uwsgi"));
        settles(&*resource, &mut facts);
    }

    #[test]
    fn a_site_may_be_named_with_its_ending() {
        let mut facts = Facts::default();
        stands(&mut facts, "/etc/apache2/sites-enabled/000-default.conf", link(), 0o777, "root");
        let resource = declare("000-default.conf:\n  apache_site.disabled: []\n", &Tree::default());
        assert_eq!(
            resource.diff(&facts).unwrap()[0].changes[0].to_string(),
            "Apache site 000-default: enabled -> disabled"
        );
    }
}
