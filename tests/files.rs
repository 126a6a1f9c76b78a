//! Files on this machine itself: what is declared, what `diff` says, and what `apply` leaves.

use std::fs;
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
