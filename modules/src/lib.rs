//! The state modules: what `file.managed`, `service.running` and their like ask of a host, and how they tell what
//! differs. A file holds one function, or a few that belong together; to add one, write its file and put a line into
//! [`FUNCTIONS`].

mod age;
mod alembic;
mod apache_module;
pub mod book;
pub mod calls;
mod cmd;
mod cron;
mod django;
mod file;
mod git;
pub mod grains;
mod group;
mod ignored;
mod kinds;
mod migrations;
mod module;
mod pip;
mod pkg;
mod pkgrepo;
mod postgres_database;
mod postgres_user;
mod process;
mod service;
mod ssh_auth;
mod state;
mod test;
#[cfg(test)]
mod testing;
pub mod text;
mod urls;
mod user;
mod virtualenv;

pub use state::{Context, Declared, Function, State};

use kstate_core::{Chunk, Problem, Sources};

/// Every function, sorted by name.
pub static FUNCTIONS: &[Function] = &[
    Function::of::<alembic::Upgraded>(),
    Function::of::<apache_module::ConfDisabled>(),
    Function::of::<apache_module::ConfEnabled>(),
    Function::of::<apache_module::ModuleDisabled>(),
    Function::of::<apache_module::ModuleEnabled>(),
    Function::of::<apache_module::SiteDisabled>(),
    Function::of::<apache_module::SiteEnabled>(),
    Function::of::<cmd::Run>(),
    Function::of::<cmd::Wait>(),
    Function::of::<cron::Absent>(),
    Function::of::<cron::EnvAbsent>(),
    Function::of::<cron::EnvPresent>(),
    Function::of::<cron::File>(),
    Function::of::<cron::Present>(),
    Function::of::<cron::Suspended>(),
    Function::of::<django::Migrated>(),
    Function::of::<file::Absent>(),
    Function::of::<file::Append>(),
    Function::of::<file::Comment>(),
    Function::of::<file::Directory>(),
    Function::of::<file::KeyValue>(),
    Function::of::<file::Managed>(),
    Function::of::<file::Prepend>(),
    Function::of::<file::Recurse>(),
    Function::of::<file::Replace>(),
    Function::of::<file::Symlink>(),
    Function::of::<file::Uncomment>(),
    Function::of::<git::Latest>(),
    Function::of::<group::Absent>(),
    Function::of::<group::Present>(),
    Function::of::<module::Runs>(),
    Function::of::<module::Wait>(),
    Function::of::<module::Watch>(),
    Function::of::<pip::Installed>(),
    Function::of::<pkg::Installed>(),
    Function::of::<pkg::Latest>(),
    Function::of::<pkg::Purged>(),
    Function::of::<pkg::Removed>(),
    Function::of::<pkgrepo::Absent>(),
    Function::of::<pkgrepo::Managed>(),
    Function::of::<postgres_database::Absent>(),
    Function::of::<postgres_database::Present>(),
    Function::of::<postgres_user::GroupAbsent>(),
    Function::of::<postgres_user::Group>(),
    Function::of::<postgres_user::UserAbsent>(),
    Function::of::<postgres_user::User>(),
    Function::of::<process::Absent>(),
    Function::of::<process::Current>(),
    Function::of::<process::Stopped>(),
    Function::of::<service::Current>(),
    Function::of::<service::Dead>(),
    Function::of::<service::Disabled>(),
    Function::of::<service::Enabled>(),
    Function::of::<service::Masked>(),
    Function::of::<service::Running>(),
    Function::of::<service::Stopped>(),
    Function::of::<service::Unmasked>(),
    Function::of::<ssh_auth::Absent>(),
    Function::of::<ssh_auth::Manage>(),
    Function::of::<ssh_auth::Present>(),
    Function::of::<test::CheckPillar>(),
    Function::of::<test::Configurable>(),
    Function::of::<test::FailWithChanges>(),
    Function::of::<test::FailWithoutChanges>(),
    Function::of::<test::Nop>(),
    Function::of::<test::ShowNotification>(),
    Function::of::<test::SucceedWithChanges>(),
    Function::of::<test::SucceedWithoutChanges>(),
    Function::of::<user::Absent>(),
    Function::of::<user::Present>(),
    Function::of::<virtualenv::Managed>(),
];

/// Makes a resource of a chunk, or says what is wrong with it.
pub fn declare(chunk: &Chunk, sources: &dyn Sources) -> Result<Declared, Vec<Problem>> {
    let name = chunk.function();
    match FUNCTIONS.iter().find(|function| function.name == name) {
        Some(function) => function.declare(chunk, sources),
        None => Err(vec![state::unknown_function(chunk)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_has_each_name_once() {
        let names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
    }

    #[test]
    fn what_a_state_reads_of_the_tree_is_among_its_contents() {
        let text = b"ssh-ed25519 AAAA {{ who }}\n".as_slice();
        let kind = kstate_core::SourceKind::File { mode: 0o755 };
        let entry = kstate_core::SourceEntry { path: "b/a".into(), kind };
        let tree = testing::Tree {
            files: [("salt://a", text), ("salt://d/b/a", text), ("salt://cron", b"@daily AAAA {{ who }}\n")]
                .into(),
            entries: [("salt://d", vec![entry])].into(),
            ..testing::Tree::default()
        };
        let jinja = "    - template: jinja\n    - context: {who: ann}\n";
        let (plain, rendered) = ("AAAA {{ who }}", "AAAA ann");
        let rows = [
            ("/x:\n  file.managed:\n    - source: salt://a\n", "", "content", plain),
            ("/x:\n  file.managed:\n    - source: salt://a\n", jinja, "content", rendered),
            ("/x:\n  file.managed:\n    - contents: AAAA {{ who }}\n", jinja, "content", rendered),
            ("/x:\n  file.recurse:\n    - source: salt://d\n", jinja, "content of b/a", rendered),
            (
                "/x:\n  file.recurse:\n    - source: salt://d\n    - file_mode: keep\n",
                "",
                "mode of b/a",
                "0755",
            ),
            ("/x:\n  file.append:\n    - source: salt://a\n", jinja, "text", rendered),
            ("/x:\n  file.prepend:\n    - source: salt://a\n    - header: True\n", jinja, "text", rendered),
            ("salt://cron:\n  cron.file:\n    - user: ann\n", jinja, "crontab", rendered),
            ("k:\n  ssh_auth.present:\n    - user: ann\n    - source: salt://a\n", "", "keys", plain),
            ("k:\n  ssh_auth.absent:\n    - user: ann\n    - source: salt://a\n", "", "keys", plain),
            ("p:\n  pip.installed:\n    - requirements: salt://a\n", "", "requirements", plain),
            ("/v:\n  virtualenv.managed:\n    - requirements: salt://a\n", "", "requirements", plain),
            ("p:\n  pkg.installed:\n    - sources:\n      - p: salt://a\n", "", "package p", plain),
            (
                "r:\n  pkgrepo.managed:\n    - name: deb https://apt.example.org/ bookworm main\n    \
                 - key_url: salt://a\n    - signedby: /etc/apt/k.asc\n",
                "",
                "key /etc/apt/k.asc",
                plain,
            ),
        ];
        for (sls, more, subject, expected) in rows {
            let contents = testing::declare(&format!("{sls}{more}"), &tree).contents();
            let content = contents.iter().find(|content| content.subject == subject);
            let bytes = content.map(|content| String::from_utf8_lossy(&content.bytes).into_owned());
            assert!(bytes.is_some_and(|bytes| bytes.contains(expected)), "{sls}{more}: {contents:?}");
        }
    }

    #[test]
    fn every_example_can_be_declared() {
        for function in FUNCTIONS {
            let doc = function.source.lines().map_while(|line| line.strip_prefix("//!"));
            let example =
                doc.skip_while(|line| *line != " ```yaml").skip(1).take_while(|line| *line != " ```");
            let example: String =
                example.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect();
            assert!(!example.is_empty(), "{} has no example", function.name);
            for chunk in testing::chunks(&example) {
                let declared = declare(&chunk, &testing::Anything);
                let problems = declared.map(|declared| declared.warnings).unwrap_or_else(|problems| problems);
                assert!(problems.is_empty(), "{}: {problems:#?}", function.name);
            }
        }
    }
}
