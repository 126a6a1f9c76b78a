//! A tree of states in a folder of its own, and the real program run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::output::Running;
use super::{Host, Output, Sshd, repository, run};

/// A folder that is removed with its value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("kstate-e2e-{}-{next}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path.canonicalize().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Nothing of the person who runs the test reaches the program: environment, home, caches, ssh configuration.
#[must_use = "the tree is removed with this value"]
pub(crate) struct TestEnv {
    folder: Folder,
    /// Words that every command has.
    options: Vec<String>,
}

const LIMIT: Duration = Duration::from_secs(120);

impl TestEnv {
    /// A tree without states, pillar or hosts.
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        folder.write("root/kstate.yaml", "file_roots: [states]\npillar_roots: [pillar]\nroster: roster\n");
        folder.write("root/roster", "");
        folder.write("root/states/top.sls", "base: {}\n");
        folder.write("root/pillar/top.sls", "base: {}\n");
        folder.write("ssh_config", "IdentityAgent none\nUserKnownHostsFile /dev/null\n");
        fs::create_dir_all(folder.path("home")).unwrap();
        let ssh_config = folder.path("ssh_config").display().to_string();
        TestEnv { folder, options: vec!["--ssh-config".into(), ssh_config] }
    }

    /// States for this machine itself.
    pub(crate) fn local(sls: &str) -> Self {
        let mut env = TestEnv::new();
        env.options.push("--local".into());
        env.sls("it", sls);
        env
    }

    /// A tree whose only host is a sandbox host.
    pub(crate) fn of(host: &Host, sls: &str) -> Self {
        let mut env = TestEnv::new();
        env.reach(&host.ssh_config());
        env.write("roster", &format!("{0}: {0}\n", host.name));
        env.write("states/top.sls", "base:\n  '*':\n    - it\n");
        env.sls("it", sls);
        env
    }

    /// The tree of the example, whose server is a sandbox host.
    pub(crate) fn kingfisher(host: &Host) -> Self {
        let mut env = TestEnv::new();
        env.reach(&host.ssh_config());
        env.write("roster", &format!("kingfisher-process: {}\n", host.name));
        let (states, pillar) = (repository().join("states"), repository().join("examples/kingfisher/pillar"));
        let (states, pillar) = (states.display(), pillar.display());
        let configuration = format!("file_roots: [{states}]\npillar_roots: [{pillar}]\nroster: roster\n");
        env.write("kstate.yaml", &configuration);
        env
    }

    /// A tree whose only host is this machine, over an sshd.
    pub(crate) fn over(sshd: &Sshd, sls: &str) -> Self {
        let mut env = TestEnv::new();
        env.reach(&sshd.ssh_config());
        env.write("roster", &sshd.roster("here"));
        env.write("states/top.sls", "base:\n  '*':\n    - it\n");
        env.sls("it", sls);
        env
    }

    /// Uses this configuration of OpenSSH.
    pub(crate) fn reach(&mut self, ssh_config: &Path) {
        self.options[1] = ssh_config.display().to_string();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path("root").join(name)
    }

    /// Writes a file below the root.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        self.folder.write(&format!("root/{name}"), text)
    }

    pub(crate) fn sls(&self, name: &str, text: &str) {
        self.write(&format!("states/{}.sls", name.replace('.', "/")), text);
    }

    /// One pillar file for every host.
    pub(crate) fn pillar(&self, name: &str, text: &str) {
        self.write("pillar/top.sls", &format!("base:\n  '*':\n    - {name}\n"));
        self.write(&format!("pillar/{}.sls", name.replace('.', "/")), text);
    }

    /// Removes a file below the root.
    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// A place outside the tree, removed with it.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        let path = self.folder.path("scratch");
        fs::create_dir_all(&path).unwrap();
        path.join(name)
    }

    /// `kstate` in the tree's folder.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kstate"));
        command.args(&self.options).args(words).current_dir(self.folder.path("root"));
        self.clear(&mut command);
        command
    }

    pub(crate) fn clear(&self, command: &mut Command) {
        command.env_clear();
        for name in ["PATH", "TMPDIR", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let home = self.folder.path("home");
        // With `--local` tests would take this machine's token from each other.
        command.env("KSTATE_TOKENS", self.folder.path(""));
        command.env("HOME", &home).env("XDG_CACHE_HOME", home.join("cache")).env("TZ", "UTC");
        command.env("TERM", "xterm-256color").env("COLUMNS", "100").env("LINES", "40");
    }

    #[track_caller]
    pub(crate) fn kstate(&self, words: &[&str]) -> Output {
        run(&mut self.command(words), "", LIMIT)
    }

    /// Starts it, and leaves it running.
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        Running::start(&mut self.command(words), "")
    }

    /// The only SLS compared, with its report as JSON.
    #[track_caller]
    pub(crate) fn diff(&self) -> Output {
        self.kstate(&["diff", "it", "--format", "json"])
    }

    /// The only SLS applied, with its report as JSON.
    #[track_caller]
    pub(crate) fn apply(&self) -> Output {
        self.kstate(&["apply", "it", "--yes", "--format", "json"])
    }
}
