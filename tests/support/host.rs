//! A throw-away server of one test: systemd, sshd, a file system and an address of its own. See `tests/sandbox`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Output, repository, run};

#[must_use = "the host ends with this value"]
pub(crate) struct Host {
    pub(crate) name: String,
    dir: PathBuf,
}

impl Host {
    /// A bare server. What it may install is in its own package repository.
    pub(crate) fn pristine(name: &str) -> Self {
        Host::with(name, &["--pristine"])
    }

    /// A server on which Apache, uWSGI, PostgreSQL and Redis run.
    pub(crate) fn full(name: &str) -> Self {
        Host::with(name, &["--full"])
    }

    pub(crate) fn with(name: &str, options: &[&str]) -> Self {
        let name = format!("t-{name}-{}", std::process::id());
        let owner = std::process::id().to_string();
        let mut words = vec!["up", &name, "--owner", &owner];
        words.extend(options);
        sandbox(&words).exits(0);
        let dir = sandbox(&["dir", &name]).exits(0).stdout.trim().into();
        Host { name, dir }
    }

    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.dir.join("ssh_config")
    }

    pub(crate) fn address(&self) -> String {
        fs::read_to_string(self.dir.join("address")).unwrap().trim().to_owned()
    }

    /// Copies a file or a folder of this machine into a folder of the host.
    pub(crate) fn plant(&self, from: &Path, to: &str) {
        let folder = self.dir.join("rootfs").join(to);
        fs::create_dir_all(&folder).unwrap();
        run(Command::new("cp").arg("-a").args([from, &folder]), "", Duration::from_secs(60)).exits(0);
    }

    /// Runs a script on the host as root, and returns what it says. It has to end well.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        self.try_sh(script).exits(0).stdout.trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn try_sh(&self, script: &str) -> Output {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.ssh_config()).arg(&self.name).arg("exec sh -s");
        run(&mut ssh, script, Duration::from_secs(60))
    }

    /// Ends all sessions of sshd but the one that does this.
    pub(crate) fn end_sessions(&self) {
        self.sh("ps -eo pid=,args= | awk '/^ *[0-9]+ sshd: [a-z]+@notty/ && $1 != P { print $1 }' P=$PPID | xargs -r kill -KILL");
    }

    /// Starts it again, and waits until it answers.
    pub(crate) fn reboot(&self) {
        let boot = "cat /proc/sys/kernel/random/boot_id; systemctl show -p UserspaceTimestampMonotonic";
        let before = self.sh(boot);
        let _ = self.try_sh("systemctl reboot");
        super::until_within(Duration::from_secs(120), "it is up again", || {
            let now = self.try_sh(&format!("{boot}; systemctl is-system-running --wait >/dev/null"));
            now.status.is_some_and(|status| status != 255) && now.stdout.trim_end() != before
        });
    }

    /// The link goes silent: no packet passes, and neither end is told.
    pub(crate) fn cut(&self) {
        sandbox(&["cut", &self.name]).exits(0);
    }

    pub(crate) fn mend(&self) {
        sandbox(&["mend", &self.name]).exits(0);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = sandbox(&["down", &self.name]);
    }
}

fn sandbox(words: &[&str]) -> Output {
    let mut command = Command::new(repository().join("tests/sandbox/sandbox"));
    run(command.args(words), "", Duration::from_secs(120))
}
