//! An OpenSSH server of one test, on a loopback port, for whoever runs the test.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Folder, run};

#[must_use = "the server ends with this value"]
pub(crate) struct Sshd {
    folder: Folder,
    port: u16,
    child: Child,
}

impl Sshd {
    pub(crate) fn start() -> Self {
        let folder = Folder::new();
        for name in ["host_key", "user_key", "strange_key"] {
            succeed(
                Command::new("ssh-keygen")
                    .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
                    .arg(folder.path(name)),
            );
        }
        fs::copy(folder.path("user_key.pub"), folder.path("authorized_keys")).unwrap();
        let is_root = succeed(Command::new("id").arg("-u")) == "0";
        if is_root {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        // Without PAM, sshd takes an account that has no password for a locked one.
        let shadow =
            if is_root { fs::read_to_string("/etc/shadow").unwrap_or_default() } else { String::new() };
        let pam = if shadow.lines().any(|line| line.starts_with("root:!")) { "yes" } else { "no" };
        let program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .expect("these tests need OpenSSH's server (Debian: openssh-server)");
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let dir = folder.path("");
            let dir = dir.display();
            let config = folder.write(
                "sshd_config",
                &format!(
                    "ListenAddress 127.0.0.1\nPort {port}\nHostKey {dir}host_key\nPidFile none\nUseDNS no\n\
                     AuthorizedKeysFile {dir}authorized_keys\nStrictModes no\nUsePAM {pam}\nPermitRootLogin yes\n\
                     PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\nPrintMotd no\n\
                     SetEnv KSTATE_TOKENS={dir}\n"
                ),
            );
            let log = fs::File::create(folder.path("sshd.log")).unwrap();
            let mut child = Command::new(program)
                .args(["-D", "-e", "-f"])
                .arg(config)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap();
            let deadline = Instant::now() + Duration::from_secs(10);
            while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    let sshd = Sshd { folder, port, child };
                    sshd.know("host_key.pub");
                    return sshd;
                }
                thread::sleep(Duration::from_millis(10));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("sshd does not start: {}", fs::read_to_string(folder.path("sshd.log")).unwrap());
    }

    /// Writes a public key of the folder, as this server's, into the known hosts.
    pub(crate) fn know(&self, key: &str) {
        let key = fs::read_to_string(self.folder.path(key)).unwrap();
        let known = self.folder.write("known_hosts", &format!("[127.0.0.1]:{} {key}", self.port));
        self.folder.write(
            "ssh_config",
            &format!(
                "Host *\n    UserKnownHostsFile {}\n    GlobalKnownHostsFile /dev/null\n    IdentityAgent none\n    \
                 IdentitiesOnly yes\n",
                known.display()
            ),
        );
    }

    /// Knows no host at all.
    pub(crate) fn know_nobody(&self) {
        self.folder.write("known_hosts", "");
    }

    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.folder.path("ssh_config")
    }

    /// An entry of the roster.
    pub(crate) fn roster(&self, name: &str) -> String {
        self.roster_with(name, "user_key")
    }

    pub(crate) fn roster_with(&self, name: &str, key: &str) -> String {
        let user = succeed(Command::new("id").arg("-un"));
        let key = self.folder.path(key);
        format!(
            "{name}:\n  host: 127.0.0.1\n  port: {}\n  user: {user}\n  priv: {}\n",
            self.port,
            key.display()
        )
    }

    pub(crate) fn fingerprint(&self) -> String {
        let line = succeed(Command::new("ssh-keygen").arg("-lf").arg(self.folder.path("host_key.pub")));
        line.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// Ends all connections; the commands that run over them are not touched.
    pub(crate) fn end_sessions(&self) {
        for process in descendants(self.child.id()) {
            let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
            if name.starts_with("sshd") {
                let _ = Command::new("kill").args(["-KILL", &process.to_string()]).status();
            }
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let sessions = descendants(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
        for process in sessions {
            let _ = Command::new("kill").args(["-KILL", &process.to_string()]).stderr(Stdio::null()).status();
        }
    }
}

#[track_caller]
fn succeed(command: &mut Command) -> String {
    run(command, "", Duration::from_secs(20)).exits(0).stdout.trim().to_owned()
}

/// All processes below one, the innermost last.
fn descendants(of: u32) -> Vec<u32> {
    let listed = succeed(Command::new("ps").args(["-e", "-o", "pid=,ppid="]));
    let pairs: Vec<(u32, u32)> = listed
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().map(|word| word.parse().ok());
            Some((words.next()??, words.next()??))
        })
        .collect();
    let mut found = vec![of];
    let mut next = 0;
    while next < found.len() {
        let above = found[next];
        found.extend(pairs.iter().filter(|(_, parent)| *parent == above).map(|(process, _)| *process));
        next += 1;
    }
    found.split_off(1)
}
