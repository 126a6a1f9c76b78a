//! A server of one test: own folder, own keys, own port, ended with the test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kstate_core::{Connect as _, ConnectError, Interrupt, Job, Reply, Transport};
use kstate_ssh::{Login, Ssh, SshSettings};

/// A folder that is removed with its value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("kstate-ssh-{}-{next}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path.canonicalize().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Makes a key pair by `ssh-keygen` and returns the private key's file.
    pub(crate) fn key(&self, name: &str, kind: &[&str]) -> PathBuf {
        self.key_with_passphrase(name, kind, "")
    }

    pub(crate) fn key_with_passphrase(&self, name: &str, kind: &[&str], passphrase: &str) -> PathBuf {
        let path = self.path(name);
        let _ = fs::remove_file(&path);
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-N", passphrase, "-C", name]).args(kind).arg("-f").arg(&path);
        succeed(&mut command);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn public(key: &Path) -> String {
    fs::read_to_string(key.with_file_name(format!("{}.pub", key.file_name().unwrap().to_str().unwrap())))
        .unwrap()
}

pub(crate) fn whoami() -> String {
    succeed(Command::new("id").arg("-un")).trim().to_owned()
}

pub(crate) fn is_root() -> bool {
    succeed(Command::new("id").arg("-u")).trim() == "0"
}

const ED25519: &[&str] = &["-t", "ed25519"];

/// An OpenSSH server with one host key, which lets one ed25519 key in.
pub(crate) struct Server {
    pub(crate) folder: Folder,
    pub(crate) port: u16,
    child: Child,
}

impl Server {
    pub(crate) fn start() -> Self {
        Server::start_with(ED25519, "")
    }

    /// `host_key`: options of `ssh-keygen`. `more`: lines of sshd_config, which win over ours.
    pub(crate) fn start_with(host_key: &[&str], more: &str) -> Self {
        let folder = Folder::new();
        folder.key("host_key", host_key);
        let user_key = folder.key("user_key", ED25519);
        folder.write("authorized_keys", &public(&user_key));
        if is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .expect("these tests need OpenSSH's server (Debian: openssh-server)");
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let dir = folder.path("");
            let dir = dir.display();
            let config = format!(
                "{more}\nListenAddress 127.0.0.1\nPort {port}\nHostKey {dir}host_key\nPidFile none\n\
                 AuthorizedKeysFile {dir}authorized_keys\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\nPrintMotd no\n"
            );
            let config = folder.write("sshd_config", &config);
            let log = fs::File::create(folder.path("sshd.log")).unwrap();
            let mut child = Command::new(sshd)
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
                    let server = Server { folder, port, child };
                    server.know("known_hosts", "");
                    return server;
                }
                thread::sleep(Duration::from_millis(10));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("sshd does not start: {}", fs::read_to_string(folder.path("sshd.log")).unwrap());
    }

    /// Writes the server's own key into a known_hosts file.
    pub(crate) fn know(&self, file: &str, before: &str) {
        let name = self.name();
        let host_key = public(&self.folder.path("host_key"));
        self.folder.write(file, &format!("{before}{name} {host_key}"));
    }

    pub(crate) fn name(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    pub(crate) fn fingerprint(&self) -> String {
        let key = self.folder.path("host_key.pub");
        let line = succeed(Command::new("ssh-keygen").args(["-l", "-f"]).arg(key));
        line.split_whitespace().nth(1).unwrap().to_owned()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path("sshd.log")).unwrap_or_default()
    }

    /// The processes that serve connections right now: all that descend from the server.
    pub(crate) fn sessions(&self) -> Vec<u32> {
        descendants(self.child.id())
    }

    pub(crate) fn roster(&self) -> Login {
        Login {
            port: Some(self.port),
            user: Some(whoami()),
            keys: vec![self.folder.path("user_key")],
            ..Login::new("127.0.0.1")
        }
    }

    /// A configuration that knows nothing of the person who runs the test.
    pub(crate) fn settings(&self) -> SshSettings {
        self.settings_with("")
    }

    pub(crate) fn settings_with(&self, more: &str) -> SshSettings {
        let mut text = format!("{more}\nHost *\n");
        let known = self.folder.path("known_hosts");
        writeln!(text, "UserKnownHostsFile {}", known.display()).unwrap();
        writeln!(text, "GlobalKnownHostsFile /dev/null").unwrap();
        writeln!(text, "IdentityAgent none").unwrap();
        writeln!(text, "IdentityFile {}", self.folder.path("no_such_key").display()).unwrap();
        SshSettings { ssh_config: Some(self.folder.write("ssh_config", &text)), ..SshSettings::default() }
    }

    pub(crate) fn connect(&self) -> Box<dyn Transport> {
        connect(self.roster(), self.settings()).unwrap_or_else(|error| panic!("{error:?}\n{}", self.log()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let sessions = self.sessions();
        let _ = self.child.kill();
        let _ = self.child.wait();
        for session in sessions {
            signal(session, "KILL");
        }
    }
}

pub(crate) fn signal(process: u32, name: &str) {
    let _ = Command::new("kill").args(["-s", name, &process.to_string()]).stderr(Stdio::null()).status();
}

/// All processes below one, by `/proc`.
pub(crate) fn descendants(of: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let after_name = stat.rsplit_once(')').map_or("", |pair| pair.1);
        if let Some(parent) = after_name.split_whitespace().nth(1).and_then(|parent| parent.parse().ok()) {
            children.entry(parent).or_default().push(process);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![of];
    while let Some(process) = next.pop() {
        for child in children.get(&process).into_iter().flatten() {
            found.push(*child);
            next.push(*child);
        }
    }
    found
}

pub(crate) fn connect(login: Login, settings: SshSettings) -> Result<Box<dyn Transport>, ConnectError> {
    connect_until(login, settings, Interrupt::default())
}

pub(crate) fn connect_until(
    login: Login,
    settings: SshSettings,
    interrupt: Interrupt,
) -> Result<Box<dyn Transport>, ConnectError> {
    let logins = BTreeMap::from([("target".to_owned(), login)]);
    Ssh::new(logins, settings, interrupt).unwrap().connect("target")
}

/// Runs jobs that are expected to come to their end.
pub(crate) fn run(transport: &mut dyn Transport, jobs: &[Job]) -> Vec<Reply> {
    transport.exchange(jobs, &mut |_| {}).unwrap()
}

pub(crate) fn run_one(transport: &mut dyn Transport, script: &str) -> Reply {
    run(transport, &[Job::new(script)]).remove(0)
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
