//! Who is let in, and which hosts are believed.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use kstate_core::ConnectError;
use kstate_ssh::{Login, SshSettings};

use crate::support::{Folder, Server, connect, public, run_one, succeed, whoami};

fn refused(login: Login, settings: SshSettings) -> ConnectError {
    let begun = Instant::now();
    let Err(error) = connect(login, settings) else { panic!("nobody should be let in") };
    assert!(begun.elapsed() < Duration::from_secs(1), "took {:?}", begun.elapsed());
    error
}

#[test]
fn every_kind_of_key_logs_in() {
    let server = Server::start();
    let kinds: [&[&str]; 6] = [
        &["-t", "ed25519"],
        &["-t", "ecdsa", "-b", "256"],
        &["-t", "ecdsa", "-b", "384"],
        &["-t", "ecdsa", "-b", "521"],
        &["-t", "rsa", "-b", "2048"],
        &["-t", "rsa", "-b", "2048", "-m", "PEM"],
    ];
    for kind in kinds {
        let key = server.folder.key("other_key", kind);
        server.folder.write("authorized_keys", &public(&key));
        let login = Login { keys: vec![key], ..server.roster() };
        let mut host =
            connect(login, server.settings()).unwrap_or_else(|error| panic!("{kind:?}: {error:?}"));
        assert_eq!(run_one(&mut *host, "echo in").stdout, b"in\n", "{kind:?}");
        let traffic = host.traffic();
        assert_eq!(traffic.logins, 1);
        assert!(
            traffic.round_trips <= 3 && traffic.bytes_sent > 0 && traffic.bytes_received > 0,
            "{traffic:?}"
        );
    }
    assert!(!server.log().contains("ssh-rsa "), "{}", server.log());
}

#[test]
fn every_kind_of_host_key_is_checked() {
    for kind in [&["-t", "ecdsa"][..], &["-t", "rsa", "-b", "2048"]] {
        let server = Server::start_with(kind, "");
        assert!(run_one(&mut *server.connect(), "true").ok(), "{kind:?}");
    }
}

#[test]
fn the_kind_of_host_key_that_is_known_is_asked_for() {
    let folder = Folder::new();
    let rsa = folder.key("rsa", &["-t", "rsa", "-b", "2048"]);
    let server = Server::start_with(&["-t", "ed25519"], &format!("HostKey {}", rsa.display()));
    server.folder.write("known_hosts", &format!("{} {}", server.name(), public(&rsa)));
    assert!(run_one(&mut *server.connect(), "true").ok());
}

#[test]
fn an_unknown_host_is_refused_with_its_fingerprint_and_the_remedy() {
    let server = Server::start();
    server.folder.write("known_hosts", "");
    let error = refused(server.roster(), server.settings());
    assert!(error.message.contains("is not known"), "{error:?}");
    assert!(error.message.contains(&server.fingerprint()), "{error:?}");
    let file = server.folder.path("known_hosts");
    let command = format!("ssh-keyscan -t ed25519 -p {} 127.0.0.1 >> {}", server.port, file.display());
    assert!(error.hints.iter().any(|hint| hint.ends_with(&command)), "{error:?}");
    succeed(Command::new("sh").arg("-c").arg(&command));
    assert!(run_one(&mut *server.connect(), "true").ok());
}

#[test]
fn a_changed_host_key_is_refused_with_file_and_line_and_the_remedy() {
    let server = Server::start();
    let other = server.folder.key("other", &["-t", "ed25519"]);
    let known =
        server.folder.write("known_hosts", &format!("# a comment\n{} {}", server.name(), public(&other)));
    let error = refused(server.roster(), server.settings());
    assert!(error.message.contains("CHANGED"), "{error:?}");
    assert!(error.message.contains(&server.fingerprint()), "{error:?}");
    assert!(error.message.contains(&format!("{}:2", known.display())), "{error:?}");
    let commands: Vec<&str> =
        error.hints[1..].iter().filter_map(|hint| hint.split_once(": ")).map(|pair| pair.1).collect();
    assert_eq!(commands.len(), 2, "{error:?}");
    for command in commands {
        succeed(Command::new("sh").arg("-c").arg(command));
    }
    assert!(run_one(&mut *server.connect(), "true").ok());
}

#[test]
fn a_host_key_of_another_kind_than_known_counts_as_changed() {
    let server = Server::start();
    let other = server.folder.key("other", &["-t", "ecdsa"]);
    server.folder.write("known_hosts", &format!("{} {}", server.name(), public(&other)));
    assert!(refused(server.roster(), server.settings()).message.contains("CHANGED"));
}

#[test]
fn hashed_names_and_several_files_are_read() {
    let server = Server::start();
    succeed(Command::new("ssh-keygen").arg("-q").arg("-H").arg("-f").arg(server.folder.path("known_hosts")));
    let text = fs::read_to_string(server.folder.path("known_hosts")).unwrap();
    assert!(text.starts_with("|1|"), "{text}");
    assert!(run_one(&mut *server.connect(), "true").ok());
    fs::rename(server.folder.path("known_hosts"), server.folder.path("second")).unwrap();
    let files = format!(
        "UserKnownHostsFile {} {}",
        server.folder.path("missing").display(),
        server.folder.path("second").display()
    );
    let login = server.roster();
    assert!(run_one(&mut *connect(login.clone(), server.settings_with(&files)).unwrap(), "true").ok());
    let global = format!("GlobalKnownHostsFile {}", server.folder.path("second").display());
    assert!(run_one(&mut *connect(login, server.settings_with(&global)).unwrap(), "true").ok());
}

#[test]
fn a_key_known_for_the_host_without_a_port_is_enough() {
    let server = Server::start();
    let host_key = public(&server.folder.path("host_key"));
    server.folder.write("known_hosts", &format!("127.0.0.1 {host_key}"));
    assert!(run_one(&mut *server.connect(), "true").ok());
}

#[test]
fn a_revoked_host_key_is_refused_wherever_else_it_is_known() {
    let server = Server::start();
    let host_key = public(&server.folder.path("host_key"));
    server.know("known_hosts", &format!("@revoked * {host_key}"));
    assert!(refused(server.roster(), server.settings()).message.contains("REVOKED"));
    server.know("known_hosts", "");
    let list = server.folder.write("revoked", &host_key);
    let settings = server.settings_with(&format!("RevokedHostKeys {}", list.display()));
    assert!(refused(server.roster(), settings.clone()).message.contains("REVOKED"));
    fs::write(&list, [0xff; 8]).unwrap();
    assert!(refused(server.roster(), settings).message.contains("cannot look"));
}

#[test]
fn an_alias_stands_for_the_name_of_the_host() {
    let server = Server::start();
    let host_key = public(&server.folder.path("host_key"));
    server.folder.write("known_hosts", &format!("the-alias {host_key}"));
    let settings = server.settings_with("HostKeyAlias the-alias");
    assert!(run_one(&mut *connect(server.roster(), settings).unwrap(), "true").ok());
    server.folder.write("known_hosts", "");
    let settings = server.settings_with("HostKeyAlias the-alias");
    let error = refused(server.roster(), settings.clone());
    let command = error.hints[1].split_once(": ").unwrap().1;
    succeed(Command::new("sh").arg("-c").arg(command));
    assert!(run_one(&mut *connect(server.roster(), settings).unwrap(), "true").ok());
}

/// Signs a certificate over a public key.
fn certify(authority: &Path, key: &Path, options: &[&str]) {
    let public = key.with_file_name(format!("{}.pub", key.file_name().unwrap().to_str().unwrap()));
    succeed(
        Command::new("ssh-keygen")
            .args(["-q", "-I", "the-id", "-s"])
            .arg(authority)
            .args(options)
            .arg(public),
    );
}

#[test]
fn a_host_certificate_is_good_for_its_names_its_time_and_its_authority() {
    let folder = Folder::new();
    let authority = folder.key("authority", &["-t", "ed25519"]);
    let stranger = folder.key("stranger", &["-t", "ed25519"]);
    let known =
        format!("@cert-authority *.1 {}@cert-authority [127.*]:* {}", public(&authority), public(&authority));
    let cases: [(&Path, &[&str], Result<(), &str>); 6] = [
        (&authority, &["-h", "-n", "127.0.0.1", "-V", "-1d:+1d"], Ok(())),
        (&authority, &["-h", "-n", "other.example.org", "-V", "-1d:+1d"], Err("it is for other.example.org")),
        (&authority, &["-h", "-n", "127.0.0.1", "-V", "-2d:-1d"], Err("expired")),
        (&authority, &["-h", "-n", "127.0.0.1", "-V", "+1d:+2d"], Err("not valid yet")),
        (&authority, &["-h", "-V", "-1d:+1d"], Err("it is for ")),
        (&stranger, &["-h", "-n", "127.0.0.1", "-V", "-1d:+1d"], Err("is not known")),
    ];
    for (signer, options, expected) in cases {
        let key = folder.key("certified", &["-t", "ed25519"]);
        certify(signer, &key, options);
        let more = format!("HostKey {}\nHostCertificate {}-cert.pub", key.display(), key.display());
        let server = Server::start_with(&["-t", "rsa", "-b", "2048"], &more);
        server.folder.write("known_hosts", &known);
        match expected {
            Ok(()) => assert!(run_one(&mut *server.connect(), "true").ok()),
            Err(words) => {
                let error = refused(server.roster(), server.settings());
                assert!(error.message.contains(words), "{options:?}: {error:?}");
            }
        }
    }
}

#[test]
fn a_wrong_key_is_refused_with_what_was_tried_and_what_is_offered() {
    let server = Server::start();
    let wrong = server.folder.key("wrong_key", &["-t", "ed25519"]);
    let login = Login { keys: vec![wrong.clone()], ..server.roster() };
    let error = refused(login, server.settings());
    assert!(error.message.contains(wrong.to_str().unwrap()), "{error:?}");
    assert!(error.message.contains("SHA256:"), "{error:?}");
    assert!(error.message.contains("publickey"), "{error:?}");
    assert!(error.hints[0].contains("authorized_keys"), "{error:?}");
}

#[test]
fn too_many_wrong_keys_are_told_apart_from_a_lost_link() {
    let server = Server::start_with(&["-t", "ed25519"], "MaxAuthTries 2");
    let keys = (0..4).map(|n| server.folder.key(&format!("wrong{n}"), &["-t", "ed25519"])).collect();
    let error = refused(Login { keys, ..server.roster() }, server.settings());
    assert!(error.message.contains("wrong1"), "{error:?}");
}

#[test]
fn a_key_that_cannot_be_used_says_why() {
    let server = Server::start();
    let only = |file: &Path| Login { keys: vec![file.to_owned()], ..server.roster() };
    let missing = refused(only(Path::new("/nonexistent/key")), server.settings());
    assert!(missing.message.contains("/nonexistent/key"), "{missing:?}");

    let open = server.folder.path("user_key");
    let mode = |mode: &str| succeed(Command::new("chmod").arg(mode).arg(&open));
    mode("644");
    let error = refused(only(&open), server.settings());
    assert!(error.message.contains("mode 644"), "{error:?}");
    assert!(error.hints.iter().any(|hint| hint.starts_with("chmod 600")), "{error:?}");
    mode("600");

    let broken = server.folder.write("broken", "not a key\n");
    let error = refused(only(&broken), server.settings());
    assert!(error.message.contains("is not a private key"), "{error:?}");
}

#[test]
fn a_passphrase_is_asked_for_once_and_only_where_somebody_can_answer() {
    let server = Server::start();
    let key = server.folder.key_with_passphrase("locked", &["-t", "ed25519", "-a", "1"], "open sesame");
    server.folder.write("authorized_keys", &public(&key));
    let login = Login { keys: vec![key.clone()], ..server.roster() };

    let error = refused(login.clone(), server.settings());
    assert!(error.message.contains("no terminal"), "{error:?}");
    assert!(error.hints.iter().any(|hint| hint.contains("ssh-add")), "{error:?}");

    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let mut settings = server.settings();
    settings.passphrase = Some(Arc::new(move |_: &Path| {
        count.fetch_add(1, Ordering::SeqCst);
        Some("open sesame".to_owned())
    }));
    let logins = ["one", "two"].map(|name| (name.to_owned(), login.clone())).into();
    let ssh = kstate_ssh::Ssh::new(logins, settings.clone(), kstate_core::Interrupt::default()).unwrap();
    for target in ["one", "two"] {
        assert!(run_one(&mut *kstate_core::Connect::connect(&ssh, target).unwrap(), "true").ok());
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    settings.passphrase = Some(Arc::new(|_: &Path| Some("wrong".to_owned())));
    let error = refused(login.clone(), settings.clone());
    assert!(error.message.contains("passphrase"), "{error:?}");

    // A key that the server does not want asks for nothing.
    server.folder.write("authorized_keys", "");
    settings.passphrase = Some(Arc::new(|_: &Path| panic!("nobody should be asked")));
    assert!(refused(login, settings).message.contains("refused"));
}

#[test]
fn a_user_certificate_logs_in_beside_its_key_and_by_name() {
    let folder = Folder::new();
    let authority = folder.key("authority", &["-t", "ed25519"]);
    let trust = format!("TrustedUserCAKeys {}.pub", authority.display());
    let server = Server::start_with(&["-t", "ed25519"], &trust);
    server.folder.write("authorized_keys", "");
    for kind in [&["-t", "ed25519"][..], &["-t", "rsa", "-b", "2048"], &["-t", "ecdsa"]] {
        let key = server.folder.key("certified", kind);
        let login = Login { keys: vec![key.clone()], ..server.roster() };
        certify(&authority, &key, &["-n", &whoami(), "-V", "-1d:+1d"]);
        assert!(run_one(&mut *connect(login.clone(), server.settings()).unwrap(), "true").ok(), "{kind:?}");

        let elsewhere = server.folder.path("elsewhere.pub");
        fs::rename(server.folder.path("certified-cert.pub"), &elsewhere).unwrap();
        refused(login.clone(), server.settings());
        let settings = server.settings_with(&format!("CertificateFile {}", elsewhere.display()));
        assert!(run_one(&mut *connect(login, settings).unwrap(), "true").ok(), "{kind:?}");
    }
}

/// An agent of one test.
struct Agent {
    child: Child,
    socket: String,
    _folder: Folder,
}

impl Agent {
    fn start() -> Self {
        let folder = Folder::new();
        let socket = folder.path("agent").display().to_string();
        let child = Command::new("ssh-agent")
            .args(["-D", "-a", &socket])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while !Path::new(&socket).exists() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        Agent { child, socket, _folder: folder }
    }

    fn add(&self, key: &Path) {
        succeed(Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_agent_signs_with_keys_of_every_kind() {
    let server = Server::start();
    for kind in [&["-t", "ed25519"][..], &["-t", "rsa", "-b", "2048"], &["-t", "ecdsa"]] {
        let agent = Agent::start();
        let key = server.folder.key("agent_key", kind);
        server.folder.write("authorized_keys", &public(&key));
        agent.add(&key);
        fs::remove_file(&key).unwrap();
        let login = Login { keys: Vec::new(), ..server.roster() };
        let settings = server.settings_with(&format!("IdentityAgent {}", agent.socket));
        assert!(run_one(&mut *connect(login, settings).unwrap(), "true").ok(), "{kind:?}");
    }
}

#[test]
fn the_agent_signs_with_certificates() {
    let folder = Folder::new();
    let authority = folder.key("authority", &["-t", "ed25519"]);
    let trust = format!("TrustedUserCAKeys {}.pub", authority.display());
    let server = Server::start_with(&["-t", "ed25519"], &trust);
    server.folder.write("authorized_keys", "");
    for kind in [&["-t", "ed25519"][..], &["-t", "rsa", "-b", "2048"]] {
        let agent = Agent::start();
        let key = server.folder.key("agent_key", kind);
        certify(&authority, &key, &["-n", &whoami(), "-V", "-1d:+1d"]);
        agent.add(&key);
        for left in [&key, &server.folder.path("agent_key-cert.pub")] {
            fs::remove_file(left).unwrap();
        }
        let login = Login { keys: Vec::new(), ..server.roster() };
        let settings = server.settings_with(&format!("IdentityAgent {}", agent.socket));
        assert!(run_one(&mut *connect(login, settings).unwrap(), "true").ok(), "{kind:?}");
    }
}

#[test]
fn only_the_named_identities_are_offered_when_the_configuration_says_so() {
    let server = Server::start_with(&["-t", "ed25519"], "MaxAuthTries 2");
    let agent = Agent::start();
    for n in 0..4 {
        agent.add(&server.folder.key(&format!("foreign{n}"), &["-t", "ed25519"]));
    }
    let wanted = server.folder.key("wanted", &["-t", "ed25519"]);
    server.folder.write("authorized_keys", &public(&wanted));
    agent.add(&wanted);
    fs::remove_file(&wanted).unwrap();
    let login = Login { keys: Vec::new(), ..server.roster() };
    let base = format!("IdentityAgent {}\n", agent.socket);
    refused(login.clone(), server.settings_with(&base));
    // The public half alone says which key of the agent is meant.
    let only = format!("{base}IdentityFile {}.pub\nIdentitiesOnly yes", wanted.display());
    assert!(run_one(&mut *connect(login, server.settings_with(&only)).unwrap(), "true").ok());
}

#[test]
fn the_configuration_of_openssh_is_honoured() {
    let server = Server::start();
    let key = server.folder.path("user_key").display().to_string();
    let included = server.folder.write(
        "included",
        &format!(
            "Match host 127.0.0.1 user {}\n  IdentityFile {key}\nHost web\n  Port {}\n",
            whoami(),
            server.port
        ),
    );
    let settings = server.settings_with(&format!(
        "Host web\n  HostName 127.0.0.1\n  User {}\nHost *\n  Include {}\n",
        whoami(),
        included.display()
    ));
    let mut host = connect(Login::new("web"), settings.clone()).unwrap();
    assert_eq!(run_one(&mut *host, "id -un").stdout, format!("{}\n", whoami()).as_bytes());
    // The roster wins: there is no such port.
    let wrong = Login { port: Some(1), timeout: Some(Duration::from_secs(1)), ..Login::new("web") };
    assert!(connect(wrong, settings).is_err());
}

#[test]
fn a_wrong_configuration_is_told_in_the_words_of_ssh() {
    let server = Server::start();
    let error = refused(server.roster(), server.settings_with("Prot 22"));
    assert!(error.message.contains("Prot") || error.message.contains("prot"), "{error:?}");
}

#[test]
fn a_configuration_that_never_answers_is_given_up() {
    let server = Server::start();
    let settings = server.settings_with("Match exec \"sleep 60\"");
    let begun = Instant::now();
    let error = connect(server.roster(), settings).err().unwrap();
    assert!(error.message.contains("ssh -G"), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(15));
}

#[test]
fn hops_have_their_own_keys_and_their_own_host_keys() {
    let (first, second, last) = (Server::start(), Server::start(), Server::start());
    let hop = |name: &str, server: &Server| {
        format!(
            "Host {name}\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n  UserKnownHostsFile {}\n",
            server.port,
            whoami(),
            server.folder.path("user_key").display(),
            server.folder.path("known_hosts").display()
        )
    };
    let hops = format!("{}{}", hop("first", &first), hop("second", &second));
    let jump = |more: &str| last.settings_with(&format!("{hops}{more}"));
    for way in [
        "Host 127.0.0.1\n  ProxyJump first,second\n",
        "Host second\n  ProxyJump first\nHost 127.0.0.1\n  ProxyJump second\n",
    ] {
        let mut host = connect(last.roster(), jump(way)).unwrap_or_else(|error| panic!("{way}: {error:?}"));
        assert!(run_one(&mut *host, "true").ok());
        assert!(!first.sessions().is_empty() && !second.sessions().is_empty(), "{way}");
    }
    // `Host *` would let the hops know the keys of the target only.
    let way = "Host 127.0.0.1\n  ProxyJump first,second\n";
    second.folder.write("known_hosts", "");
    let error = refused(last.roster(), jump(way));
    assert!(error.message.contains(&second.fingerprint()), "{error:?}");
    assert!(error.hints[1].contains("ssh first ssh-keyscan"), "{error:?}");
    second.know("known_hosts", "");
    last.folder.write("known_hosts", "");
    let error = refused(last.roster(), jump(way));
    assert!(error.message.contains(&last.fingerprint()), "{error:?}");
}

#[test]
fn a_proxy_command_carries_the_connection_and_ends_with_it() {
    let server = Server::start();
    let jump = Server::start();
    let known = format!("UserKnownHostsFile {}\n", jump.folder.path("known_hosts").display());
    let through = format!(
        "ProxyCommand ssh -F {} -i {} -p {} -W %h:%p {}@127.0.0.1",
        jump.folder.write("proxy_config", &known).display(),
        jump.folder.path("user_key").display(),
        jump.port,
        whoami()
    );
    let mut host = connect(server.roster(), server.settings_with(&through)).unwrap();
    assert!(run_one(&mut *host, "true").ok());
    drop(host);
    let broken = refused(server.roster(), server.settings_with("ProxyCommand exit 1"));
    assert!(broken.message.contains("does not speak SSH") || broken.message.contains("closed"), "{broken:?}");
}

#[test]
fn algorithms_of_the_configuration_are_used_or_refused() {
    let server = Server::start();
    let with = |option: &str| Login { options: vec![option.to_owned()], ..server.roster() };
    for option in [
        "Ciphers=aes192-ctr",
        "KexAlgorithms=diffie-hellman-group16-sha512",
        "MACs=hmac-sha2-256",
        "PubkeyAcceptedAlgorithms=ssh-ed25519",
        "HostKeyAlgorithms=ssh-ed25519",
    ] {
        assert!(connect(with(option), server.settings()).is_ok(), "{option}");
    }
    // OpenSSH has them, and kstate does not; or the key is of another kind.
    for (option, reason) in [
        ("KexAlgorithms=sntrup761x25519-sha512@openssh.com", "KexAlgorithms"),
        ("MACs=umac-64@openssh.com", "MACs"),
        ("PubkeyAcceptedAlgorithms=rsa-sha2-512", "PubkeyAcceptedAlgorithms"),
    ] {
        let error = connect(with(option), server.settings()).err().unwrap();
        assert!(error.message.contains(reason), "{option}: {error:?}");
    }
}

#[test]
fn a_restriction_of_the_server_meets_one_of_the_configuration() {
    let server = Server::start_with(&["-t", "ed25519"], "Ciphers aes256-ctr");
    let with = |option: &str| Login { options: vec![option.to_owned()], ..server.roster() };
    assert!(connect(with("Ciphers=aes128-ctr,aes256-ctr"), server.settings()).is_ok());
    let error = connect(with("Ciphers=aes128-ctr"), server.settings()).err().unwrap();
    assert!(error.message.contains("aes256-ctr"), "{error:?}");
}
