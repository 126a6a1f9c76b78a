//! Files on this machine itself: what is declared, what `diff` says, and what `apply` leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::{Folder, TestEnv};

/// Writes `ROOT` in the SLS as the folder's path.
fn declared(folder: &Folder, sls: &str) -> TestEnv {
    TestEnv::local(&sls.replace("ROOT", folder.path("").display().to_string().trim_end_matches('/')))
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

#[test]
fn cleaning_leaves_what_required_states_manage_however_they_are_named() {
    let managed = "site:
  file.managed:
    - name: ROOT/d/real.conf
    - contents: a
    - makedirs: True
";
    let cleaned = "ROOT/d:
  file.directory:
    - clean: True
";
    let by_id = format!("{managed}{cleaned}    - require:\n      - file: site\n");
    let rows = [
        by_id.clone(),
        by_id.replace("file: site", "file: ROOT/d/real.conf"),
        by_id.replace("file: site", "file: s*"),
        by_id.replace("file: site", "file: ROOT/d/*"),
        by_id.replace("- file: site", "- site"),
        by_id.replace("require:", "watch:"),
        format!("{managed}    - require_in:\n      - file: ROOT/d\n{cleaned}"),
        format!("include: [other]\n{cleaned}    - require:\n      - sls: other\n"),
        format!(
            "{managed}ROOT:\n  file.directory: []\n{cleaned}    - require:\n      - file: ROOT\n      - file: site\n"
        ),
    ];
    for sls in rows {
        let folder = Folder::new();
        folder.write("d/old/older", "");
        let env = declared(&folder, &sls);
        env.sls("other", &managed.replace("ROOT", &folder.path("").display().to_string()));
        let removed = format!("directory: {} -> absent", folder.path("d/old").display());
        env.kstate(&["diff", "it"]).exits(2).says(&removed);
        env.apply().exits(0);
        assert_eq!(names(&folder.path("d")), ["real.conf"], "{sls}");
        env.diff().exits(0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_mode_of_a_source_is_kept() {
    let folder = Folder::new();
    let env = declared(
        &folder,
        "ROOT/one:
  file.managed:
    - source: salt://d/secret
    - mode: keep
ROOT/d:
  file.recurse:
    - source: salt://d
    - file_mode: keep
",
    );
    for (name, mode) in [("secret", 0o600), ("tool", 0o4750), ("odd", 0o645)] {
        let path = env.write(&format!("states/d/{name}"), name);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    folder.write("d/secret", "old");
    env.diff().exits(2);
    env.apply().exits(0);
    let modes = ["one", "d/secret", "d/tool", "d/odd"].map(|name| mode(&folder.path(name)));
    assert_eq!(modes, [0o600, 0o600, 0o4750, 0o645]);
    env.diff().exits(0);
    let env = TestEnv::local("/srv/x:\n  file.managed:\n    - contents: a\n    - mode: keep\n");
    env.kstate(&["diff", "it"]).exits(1).says("`keep` takes the mode of the source, and there is none");
}

#[test]
fn a_folder_of_templates_may_hold_a_binary_file() {
    let folder = Folder::new();
    let sls = "ROOT/d:\n  file.recurse:\n    - source: salt://d\n    - template: jinja\n    - context: {who: ann}\n";
    let env = declared(&folder, sls);
    let image = b"\x89PNG\r\n\x00{{ who }}\xff";
    fs::write(env.write("states/d/image", ""), image).unwrap();
    env.write("states/d/text", "hello {{ who }}\n");
    env.apply().exits(0);
    assert_eq!(fs::read(folder.path("d/image")).unwrap(), image);
    assert_eq!(fs::read(folder.path("d/text")).unwrap(), b"hello ann\n");
    env.diff().exits(0);
    fs::write(env.write("states/d/latin", ""), b"na\xefve text").unwrap();
    env.kstate(&["diff", "it"]).exits(1).says("neither UTF-8 text nor binary");
}

#[test]
fn merged_folders_give_each_path_once() {
    let folder = Folder::new();
    let sls = "ROOT/d:\n  file.recurse:\n    - source: [salt://a, salt://b]\n    - merge: True\n";
    let env = declared(&folder, sls);
    for (path, text) in [
        ("a/x", "file"),
        ("a/y/z", "below"),
        ("a/both", "first"),
        ("b/x/deep", ""),
        ("b/y", ""),
        ("b/both", "second"),
        ("b/new", "new"),
    ] {
        env.write(&format!("states/{path}"), text);
    }
    env.apply().exits(0);
    assert_eq!(names(&folder.path("d")), ["both", "new", "x", "y"]);
    assert_eq!(fs::read(folder.path("d/both")).unwrap(), b"first");
    assert_eq!(fs::read(folder.path("d/x")).unwrap(), b"file");
    assert_eq!(names(&folder.path("d/y")), ["z"]);
    env.diff().exits(0);
}

#[test]
fn what_cannot_be_made_fails_before_anything_is_written() {
    let rows = [
        ("missing/f:\n  file.managed:\n    - contents: x\n", "directory `ROOT/missing` does not exist"),
        ("missing/d:\n  file.directory: []\n", "directory `ROOT/missing` does not exist"),
        ("missing/l:\n  file.symlink:\n    - target: x\n", "directory `ROOT/missing` does not exist"),
        ("missing/a:\n  file.append:\n    - text: x\n", "directory `ROOT/missing` does not exist"),
        ("file/f:\n  file.managed:\n    - contents: x\n    - makedirs: True\n", "`ROOT/file` is a file"),
        ("file/deep/d:\n  file.directory:\n    - makedirs: True\n", "`ROOT/file` is a file"),
        ("itself:\n  file.managed:\n    - contents: x\n", "the link `ROOT/itself` leads to itself"),
        ("nowhere:\n  file.managed:\n    - contents: x\n", "directory `ROOT/gone` does not exist"),
        ("folder:\n  file.managed:\n    - contents: x\n", "a directory stands at `ROOT/folder`"),
        ("folder:\n  file.append:\n    - text: x\n", "a directory stands at `ROOT/folder`"),
        ("file:\n  file.directory: []\n", "a file stands at `ROOT/file`; `force: True` removes it"),
        (
            "new:\n  file.managed:\n    - contents: x\n    - user: nobody-at-all\n",
            "user `nobody-at-all` does not exist",
        ),
        (
            "red:\n  file.replace:\n    - pattern: '^color = (\\w+)$'\n    - repl: 'color=\\1'\n    - append_if_not_found: True\n",
            "`ROOT/red` would change again with every run",
        ),
    ];
    for (sls, expected) in rows {
        let folder = Folder::new();
        let root = folder.path("").display().to_string().trim_end_matches('/').to_owned();
        folder.write("file", "text\n");
        folder.write("red", "color = red\n");
        folder.write("folder/below", "");
        std::os::unix::fs::symlink("itself", folder.path("itself")).unwrap();
        std::os::unix::fs::symlink("gone/f", folder.path("nowhere")).unwrap();
        let before = names(&folder.path(""));
        let env = declared(&folder, &format!("ROOT/{sls}"));
        let expected = expected.replace("ROOT", &root);
        for command in ["diff", "apply"] {
            let words: &[&str] = if command == "diff" { &["diff", "it"] } else { &["apply", "it", "--yes"] };
            env.kstate(words).exits(1).says(&expected);
        }
        assert_eq!(names(&folder.path("")), before, "{sls}");
        assert_eq!(fs::read(folder.path("red")).unwrap(), b"color = red\n");
    }
}

#[test]
fn what_an_earlier_state_makes_is_foreseen() {
    let folder = Folder::new();
    let env = declared(
        &folder,
        "ROOT/a/b:
  file.directory:
    - makedirs: True
ROOT/a/b/f:
  file.managed:
    - contents: x
ROOT/a/l:
  file.symlink:
    - target: b/f
ROOT/c/d/e:
  file.managed:
    - contents: x
    - makedirs: True
ROOT/c/d/g:
  file.append:
    - text: y
",
    );
    env.kstate(&["diff", "it"]).exits(2).says("5 differ");
    env.apply().exits(0);
    env.diff().exits(0);
}

#[test]
fn a_name_that_is_not_utf_8_is_handled_byte_by_byte() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = Folder::new();
    folder.write("d/keep", "");
    let odd = |name: &[u8]| folder.path("d").join(std::ffi::OsStr::from_bytes(name));
    fs::write(odd(b"a\xff'b"), "").unwrap();
    fs::set_permissions(odd(b"a\xff'b"), fs::Permissions::from_mode(0o600)).unwrap();
    let moded = "ROOT/d:\n  file.directory:\n    - mode: 755\n    - file_mode: 640\n    - recurse: [mode]\n";
    let env = declared(&folder, moded);
    env.kstate(&["diff", "it"]).exits(2).says("/d/a\\xff'b: 0600 -> 0640");
    env.apply().exits(0);
    assert_eq!(mode(&odd(b"a\xff'b")), 0o640);
    env.diff().exits(0);
    let env = declared(&folder, "ROOT/d:\n  file.directory:\n    - clean: True\n    - exclude_pat: keep\n");
    env.apply().exits(0);
    assert_eq!(names(&folder.path("d")), ["keep"]);
    env.diff().exits(0);
}
