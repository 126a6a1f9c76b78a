//! Requisites, guards and order, by what has really been done and when.

use std::fs;
use std::path::PathBuf;

use crate::support::TestEnv;

/// States on this machine. `LOG` in them becomes a file to which commands append, `DIR` a folder.
struct Story {
    env: TestEnv,
    log: PathBuf,
}

impl Story {
    fn of(sls: &str) -> Self {
        let env = TestEnv::local("");
        let story = Story { log: env.scratch("log"), env };
        story.is_now(sls);
        story
    }

    fn is_now(&self, sls: &str) {
        let dir = self.env.scratch("").display().to_string();
        let sls = sls.replace("LOG", &self.log.display().to_string()).replace("DIR/", &dir);
        self.env.sls("it", &sls);
    }

    /// What commands have appended since the last time.
    fn told(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let _ = fs::remove_file(&self.log);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn change(&self, file: &str) {
        fs::write(self.env.scratch(file), "changed by hand\n").unwrap();
    }
}

/// A file and a command that reacts to it by the given requisite.
fn reaction(function: &str, requisite: &str) -> String {
    format!(
        "DIR/file:\n  file.managed:\n    - contents: x\n\
         react:\n  {function}:\n    - name: echo react >>LOG\n    - {requisite}:\n      - file: DIR/file\n"
    )
}

#[test]
fn states_run_as_they_are_written_unless_they_say_otherwise() {
    let story = Story::of(
        "third:\n  cmd.run:\n    - name: echo third >>LOG\n    - require:\n      - cmd: second\n\
         second:\n  cmd.run:\n    - name: echo second >>LOG\n\
         end:\n  cmd.run:\n    - name: echo end >>LOG\n    - order: last\n\
         fourth:\n  cmd.run:\n    - name: echo fourth >>LOG\n\
         first:\n  cmd.run:\n    - name: echo first >>LOG\n    - order: 1\n",
    );
    story.env.apply().exits(0);
    assert_eq!(story.told(), "first second third fourth end");
}

#[test]
fn what_requires_a_failed_state_is_skipped_with_all_that_hangs_on_it() {
    let story = Story::of(
        "fails:\n  cmd.run:\n    - name: exit 3\n\
         second:\n  cmd.run:\n    - name: echo second >>LOG\n    - require:\n      - cmd: fails\n\
         third:\n  cmd.run:\n    - name: echo third >>LOG\n    - require:\n      - cmd: second\n\
         apart:\n  cmd.run:\n    - name: echo apart >>LOG\n",
    );
    let output = story.env.apply();
    output.exits(1);
    assert_eq!(story.told(), "apart");
    assert_eq!(output.outcome("fails"), "failed");
    assert_eq!(output.outcome("second"), "skipped");
    assert_eq!(output.outcome("third"), "skipped");
    assert!(output.reason("second").contains("fails"), "{output}");
}

/// A command without a guard is no difference of the host, and neither is what it alone asks for.
#[test]
fn what_only_a_command_asks_for_is_due_every_time_as_well() {
    let mut sls = String::from(
        "every:\n  cmd.run:\n    - name: echo every >>LOG\n\
         file:\n  file.managed:\n    - name: DIR/file\n    - contents: x\n",
    );
    for (id, requisite) in [
        ("asked", "onchanges: [{cmd: every}]"),
        ("watching", "watch: [{cmd: every}]"),
        ("before", "prereq: [{cmd: every}]"),
        ("both", "onchanges: [{cmd: every}, {file: file}]"),
    ] {
        let function = if id == "watching" { "cmd.wait" } else { "cmd.run" };
        sls += &format!("{id}:\n  {function}:\n    - name: echo {id} >>LOG\n    - {requisite}\n");
    }
    let story = Story::of(&sls);
    let output = story.env.diff();
    output.exits(2);
    assert_eq!(output.ids("drift"), ["file", "both"].map(String::from).into(), "{output}");
    story.env.apply().exits(0);
    let output = story.env.diff();
    output.exits(0);
    assert!(output.ids("drift").is_empty(), "{output}");
    let every = ["before", "every", "asked", "watching", "both"].map(String::from);
    assert_eq!(output.ids("always"), every.into(), "{output}");
}

#[test]
fn onchanges_runs_only_after_a_change() {
    let story = Story::of(&reaction("cmd.run", "onchanges"));
    assert_eq!(story.env.diff().ids("failed").len(), 0);
    let output = story.env.apply();
    assert_eq!(story.told(), "react", "{output}");
    let output = story.env.apply();
    assert_eq!(story.told(), "", "{output}");
    assert_eq!(output.ids("changed").len(), 0, "{output}");
    story.env.diff().exits(0);
    story.change("file");
    story.env.apply().exits(0);
    assert_eq!(story.told(), "react");
}

#[test]
fn a_waiting_command_runs_only_when_what_it_watches_changes() {
    let story = Story::of(&reaction("cmd.wait", "watch"));
    story.env.apply().exits(0);
    assert_eq!(story.told(), "react");
    story.env.apply().exits(0);
    assert_eq!(story.told(), "");
    story.change("file");
    story.env.apply().exits(0);
    assert_eq!(story.told(), "react");
}

#[test]
fn a_listener_runs_once_and_last() {
    let story = Story::of(
        "react:\n  cmd.wait:\n    - name: echo react >>LOG\n    - listen:\n      - file: DIR/one\n      - file: DIR/two\n\
         DIR/one:\n  file.managed:\n    - contents: x\n\
         DIR/two:\n  file.managed:\n    - contents: x\n\
         after:\n  cmd.run:\n    - name: echo after >>LOG\n",
    );
    story.env.apply().exits(0);
    assert_eq!(story.told(), "after react");
    story.env.apply().exits(0);
    assert_eq!(story.told(), "after");
}

#[test]
fn onfail_runs_only_after_a_failure() {
    let sls = "fails:\n  cmd.run:\n    - name: test -e DIR/well\n    - unless: test -e DIR/well\n\
               rescue:\n  cmd.run:\n    - name: echo rescue >>LOG\n    - onfail:\n      - cmd: fails\n";
    let story = Story::of(sls);
    let output = story.env.apply();
    output.exits(1);
    assert_eq!(story.told(), "rescue");
    story.change("well");
    let output = story.env.apply();
    output.exits(0);
    assert_eq!(story.told(), "", "{output}");
    assert_eq!(output.outcome("rescue"), "skipped");
}

#[test]
fn prereq_runs_before_a_change_and_only_if_there_will_be_one() {
    let story = Story::of(
        "before:\n  cmd.run:\n    - name: test ! -e DIR/file && echo before >>LOG\n    - prereq:\n      - file: DIR/file\n\
         DIR/file:\n  file.managed:\n    - contents: x\n",
    );
    let output = story.env.apply();
    output.exits(0);
    assert_eq!(story.told(), "before", "{output}");
    assert_eq!(output.outcome("before"), "changed");
    let output = story.env.apply();
    output.exits(0);
    assert_eq!(story.told(), "", "{output}");
}

#[test]
fn requisites_may_be_declared_by_the_other_side() {
    let story = Story::of(
        "late:\n  cmd.run:\n    - name: echo late >>LOG\n\
         waits:\n  cmd.wait:\n    - name: echo waits >>LOG\n\
         early:\n  cmd.run:\n    - name: echo early >>LOG\n    - require_in:\n      - cmd: late\n\
         DIR/file:\n  file.managed:\n    - contents: x\n    - watch_in:\n      - cmd: waits\n",
    );
    story.env.apply().exits(0);
    assert_eq!(story.told(), "early late waits");
    story.env.apply().exits(0);
    assert_eq!(story.told(), "early late");
}

#[test]
fn one_of_several_is_enough_where_any_is_asked_for() {
    let sls = "fails:\n  cmd.run:\n    - name: exit 3\n\
               DIR/file:\n  file.managed:\n    - contents: x\n\
               DIR/same:\n  file.managed:\n    - contents: x\n\
               any:\n  cmd.run:\n    - name: echo any >>LOG\n    - require_any:\n      - cmd: fails\n      - file: DIR/file\n\
               changed:\n  cmd.run:\n    - name: echo changed >>LOG\n    - onchanges_any:\n      - file: DIR/file\n      - file: DIR/same\n\
               failed:\n  cmd.run:\n    - name: echo failed >>LOG\n    - onfail_any:\n      - cmd: fails\n      - file: DIR/file\n";
    let story = Story::of(sls);
    fs::write(story.env.scratch("same"), "x\n").unwrap();
    story.env.apply().exits(1);
    assert_eq!(story.told(), "any changed failed");
}

#[test]
fn guards_keep_a_command_from_running() {
    let story = Story::of(
        "unless:\n  cmd.run:\n    - name: echo unless >>LOG\n    - unless: test -e DIR/there\n\
         onlyif:\n  cmd.run:\n    - name: echo onlyif >>LOG\n    - onlyif:\n      - 'true'\n      - test ! -e DIR/there\n\
         creates:\n  cmd.run:\n    - name: echo creates >>LOG; touch DIR/made\n    - creates: DIR/made\n",
    );
    let output = story.env.diff();
    output.exits(2);
    assert_eq!(output.ids("drift").len(), 3, "{output}");
    story.env.apply().exits(0);
    assert_eq!(story.told(), "unless onlyif creates");
    story.change("there");
    let output = story.env.diff();
    output.exits(0);
    assert_eq!(output.ids("in_sync").len(), 3, "{output}");
    story.env.apply().exits(0);
    assert_eq!(story.told(), "");
}

#[test]
fn a_check_that_does_not_hold_fails_the_state() {
    let story =
        Story::of("made:\n  cmd.run:\n    - name: 'true'\n    - check_cmd:\n      - test -e DIR/nowhere\n");
    let output = story.env.apply();
    output.exits(1);
    assert!(output.reason("made").contains("nowhere"), "{output}");
}

#[test]
fn retry_goes_on_until_it_works() {
    let story = Story::of(
        "third time:\n  cmd.run:\n    - name: echo try >>LOG; test $(wc -l <LOG) -ge 3\n    - retry:\n        attempts: 5\n        interval: 0\n",
    );
    let output = story.env.apply();
    output.exits(0);
    assert_eq!(story.told(), "try try try", "{output}");
    assert_eq!(output.outcome("third time"), "changed");
}

#[test]
fn retry_gives_up_after_its_attempts() {
    let story = Story::of(
        "never:\n  cmd.run:\n    - name: echo try >>LOG; exit 1\n    - retry:\n        attempts: 2\n        interval: 0\n",
    );
    let output = story.env.apply();
    output.exits(1);
    assert_eq!(story.told(), "try try");
    assert!(output.reason("never").contains("2 attempts"), "{output}");
}

#[test]
fn failhard_ends_the_run() {
    let story = Story::of(
        "fails:\n  cmd.run:\n    - name: exit 1\n    - failhard: True\n\
         after:\n  cmd.run:\n    - name: echo after >>LOG\n",
    );
    let output = story.env.apply();
    output.exits(1);
    assert_eq!(story.told(), "");
    assert_eq!(output.outcome("after"), "skipped");
}

#[test]
fn a_whole_file_may_be_required() {
    let story = Story::of(
        "include:\n  - other\nlast:\n  cmd.run:\n    - name: echo last >>LOG\n    - order: 1\n    - require:\n      - sls: other\n",
    );
    let log = story.log.display();
    story.env.sls("other", &format!("one:\n  cmd.run:\n    - name: echo one >>{log}\n"));
    story.env.apply().exits(0);
    assert_eq!(story.told(), "one last");
}

#[test]
fn test_states_do_as_they_are_told() {
    let story = Story::of(
        "nop:\n  test.nop: []\n\
         changes:\n  test.succeed_with_changes: []\n\
         fails:\n  test.fail_without_changes: []\n\
         both:\n  test.configurable_test_state:\n    - changes: True\n    - result: False\n    - comment: as it was told\n\
         react:\n  cmd.run:\n    - name: echo react >>LOG\n    - onchanges:\n      - test: changes\n",
    );
    let output = story.env.apply();
    output.exits(1);
    assert_eq!(story.told(), "react");
    for (id, outcome) in
        [("nop", "unchanged"), ("changes", "changed"), ("fails", "failed"), ("both", "failed")]
    {
        assert_eq!(output.outcome(id), outcome, "{id}: {output}");
    }
    assert!(output.reason("both").contains("as it was told"), "{output}");
}

#[test]
fn a_command_has_its_folder_environment_and_input() {
    let story = Story::of(
        "it:\n  cmd.run:\n    - name: echo \"$(basename $PWD) $COLOUR $(cat)\" >>LOG\n    - cwd: DIR/.\n    - stdin: typed\n    - env:\n      - COLOUR: blue\n",
    );
    story.env.apply().exits(0);
    assert_eq!(story.told(), "scratch blue typed");
}

#[test]
fn a_command_that_takes_too_long_is_ended() {
    let story = Story::of("slow:\n  cmd.run:\n    - name: sleep 60\n    - timeout: 1\n");
    let output = story.env.apply();
    output.exits(1).within(15);
    assert!(output.reason("slow").contains("timeout"), "{output}");
}

#[test]
fn a_diff_shows_what_hangs_on_a_change_as_unknown_and_not_as_failed() {
    let story = Story::of(
        "make:\n  cmd.run:\n    - name: mkdir DIR/made\n    - creates: DIR/made\n\
         DIR/made/file:\n  file.managed:\n    - contents: x\n    - require:\n      - cmd: make\n",
    );
    let output = story.env.diff();
    output.exits(2);
    assert_eq!(output.ids("failed").len(), 0, "{output}");
    assert_eq!(output.outcome("make"), "drift");
    let output = story.env.apply();
    output.exits(0);
    assert_eq!(output.ids("changed").len(), 2, "{output}");
    story.env.diff().exits(0);
}

#[test]
fn a_file_that_a_later_command_takes_away_was_made_all_the_same() {
    let story = Story::of(
        "DIR/file:\n  file.managed:\n    - contents: x\n\
         undo:\n  cmd.run:\n    - name: rm DIR/file\n\
         again:\n  file.append:\n    - name: DIR/file\n    - text: y\n",
    );
    let output = story.env.apply();
    output.exits(0);
    assert_eq!(output.ids("changed").len(), 3, "{output}");
    // `again` was decided on what the command left, not on what was seen before it.
    assert_eq!(fs::read_to_string(story.env.scratch("file")).unwrap(), "y\n");
}

#[test]
fn a_command_runs_after_all_of_an_earlier_state() {
    let story = Story::of(
        "DIR/all:\n  file.recurse:\n    - source: salt://all\n\
         count:\n  cmd.run:\n    - name: find DIR/all -type f | wc -l >>LOG\n",
    );
    for name in ["one", "two", "three/four", "three/five"] {
        story.env.write(&format!("states/all/{name}"), "x\n");
    }
    story.env.apply().exits(0);
    assert_eq!(story.told(), "4");
}

#[test]
fn a_failed_prereq_holds_back_the_change_and_what_follows_it() {
    let story = Story::of(
        "backup:\n  cmd.run:\n    - name: echo no space >&2; exit 1\n    - prereq:\n      - file: DIR/schema\n\
         DIR/schema:\n  file.managed:\n    - contents: new\n\
         migrate:\n  cmd.run:\n    - name: echo migrate >>LOG\n    - onchanges:\n      - file: DIR/schema\n\
         serve:\n  cmd.run:\n    - name: echo serve >>LOG\n    - require:\n      - file: DIR/schema\n",
    );
    let output = story.env.apply();
    output.exits(1);
    assert_eq!(story.told(), "", "{output}");
    assert!(!story.env.scratch("schema").exists());
    let schema = story.env.scratch("schema").display().to_string();
    assert_eq!(output.outcome(&schema), "skipped");
    assert_eq!(output.outcome("migrate"), "skipped");
    assert_eq!(output.outcome("serve"), "skipped");
}

#[test]
fn onchanges_any_runs_when_one_changed_although_another_failed() {
    let story = Story::of(
        "fails:\n  cmd.run: [{name: 'false'}]\n\
         changes:\n  cmd.run: [{name: 'true'}]\n\
         any:\n  cmd.run:\n    - name: echo any >>LOG\n    - onchanges_any: [{cmd: fails}, {cmd: changes}]\n\
         any2:\n  cmd.run:\n    - name: echo any2 >>LOG\n    - onchanges_any: [{cmd: changes}, {cmd: fails}]\n\
         all:\n  cmd.run:\n    - name: echo all >>LOG\n    - onchanges: [{cmd: changes}, {cmd: fails}]\n",
    );
    story.env.apply().exits(1);
    assert_eq!(story.told(), "any any2 all");
}

#[test]
fn what_onchanges_does_not_ask_for_can_be_required() {
    let story = Story::of(
        "a:\n  cmd.run:\n    - name: exit 3\n\
         c:\n  cmd.run:\n    - name: echo c >>LOG\n    - onchanges:\n      - cmd: a\n\
         h:\n  cmd.run:\n    - name: echo h >>LOG\n    - require:\n      - cmd: c\n",
    );
    let output = story.env.apply();
    output.exits(1);
    assert_eq!(story.told(), "h", "{output}");
    assert_eq!(output.outcome("c"), "skipped");
}

#[test]
fn a_listener_respects_its_guards() {
    let story = Story::of(
        "a:\n  test.succeed_with_changes: []\n\
         b:\n  cmd.run:\n    - name: echo b >>LOG\n    - onlyif: 'false'\n    - listen:\n      - test: a\n\
         c:\n  cmd.run:\n    - name: echo c >>LOG\n    - listen:\n      - test: a\n\
         d:\n  cmd.run:\n    - name: echo d >>LOG; touch DIR/d\n    - creates: DIR/d\n    - listen:\n      - test: a\n",
    );
    // What the other commands change may be what the guard looks at.
    assert_eq!(story.env.diff().outcome("b"), "unknown");
    story.env.apply().exits(0);
    // Salt: the command runs in its turn and once more at the end.
    assert_eq!(story.told(), "c d c");
}

#[test]
fn a_failed_onchanges_command_is_shown_and_made_again() {
    let sls = "DIR/code:\n  file.managed:\n    - contents: x\n\
               build:\n  cmd.run:\n    - name: echo build >>LOG; test -e DIR/well\n    - onchanges:\n      - file: DIR/code\n";
    let story = Story::of(sls);
    story.env.apply().exits(1);
    assert_eq!(story.told(), "build");
    let output = story.env.diff();
    output.exits(2);
    assert_eq!(output.outcome("build"), "drift", "{output}");
    story.change("well");
    story.env.apply().exits(0);
    assert_eq!(story.told(), "build");
    story.env.diff().exits(0);
    story.env.apply().exits(0);
    assert_eq!(story.told(), "");
}

#[test]
fn a_diff_predicts_what_follows_from_a_failure() {
    let story = Story::of(
        "a:\n  test.fail_without_changes: []\n\
         b:\n  cmd.run:\n    - name: echo b >>LOG\n    - require:\n      - test: a\n\
         c:\n  cmd.run:\n    - name: echo c >>LOG\n    - require:\n      - cmd: b\n",
    );
    let output = story.env.diff();
    output.exits(1);
    for id in ["b", "c"] {
        assert_eq!(output.outcome(id), "skipped", "{output}");
    }
    assert_eq!(output.reason("c"), "`require` of `b` is not met");
}
