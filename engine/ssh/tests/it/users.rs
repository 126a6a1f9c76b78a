//! Working as root by `sudo`, and as other users. Needs root to make users; without it these tests say so and pass
//! over.

use std::fs;
use std::process::Command;

use kstate_core::{Connect as _, ExchangeCause, Interrupt, Job, Transport};
use kstate_ssh::{Local, Login};

use crate::support::{Server, connect, is_root, public, run, run_one, succeed, text};

/// A user of one test, removed with its value.
struct User {
    name: String,
}

impl User {
    fn new(suffix: &str, options: &[&str]) -> Option<User> {
        if !is_root() {
            return None;
        }
        let name = format!("kst{}{suffix}", std::process::id());
        succeed(Command::new("useradd").args(["-m", "-s", "/bin/bash", "-p", "*"]).args(options).arg(&name));
        Some(User { name })
    }

    fn home(&self, file: &str) -> String {
        format!("/home/{}/{file}", self.name)
    }

    fn job(&self, script: &str) -> Job {
        Job { user: Some(self.name.clone()), ..Job::new(script) }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = Command::new("userdel").args(["-r", "-f", &self.name]).output();
    }
}

fn as_root(claim: impl Fn(&mut dyn Transport)) {
    claim(&mut *Local::new(Interrupt::default()).connect("here").unwrap());
    claim(&mut *Server::start().connect());
}

#[test]
fn a_job_becomes_its_user_with_the_environment_of_a_login() {
    let Some(user) = User::new("a", &[]) else { return };
    fs::write(user.home(".bash_profile"), "echo Welcome; echo grumble >&2; export FROM_PROFILE=yes\n")
        .unwrap();
    let name = &user.name;
    as_root(|host| {
        let input = Job { input: b"\0binary\xff".to_vec(), ..user.job("cat; echo e >&2; exit 4") };
        let replies = run(
            host,
            &[
                user.job("id -un; echo $HOME $USER $LOGNAME $SHELL $FROM_PROFILE $LC_ALL; pwd; umask"),
                input,
                user.job("cat; kill -9 $$"),
                user.job("printf '%s' \"it's $((1+1)) \\\\ fine\"\n# and a comment"),
                Job::new("id -u"),
            ],
        );
        let expected = format!("{name}\n/home/{name} {name} {name} /bin/bash yes C\n/home/{name}\n0022\n");
        assert_eq!(text(&replies[0].stdout), expected);
        assert!(replies[0].stderr.is_empty(), "{}", text(&replies[0].stderr));
        assert_eq!((&replies[1].stdout[..], &replies[1].stderr[..]), (&b"\0binary\xff"[..], &b"e\n"[..]));
        assert_eq!(replies[1].status, 4);
        assert_eq!(replies[2].status, 137);
        assert_eq!(text(&replies[3].stdout), "it's 2 \\ fine");
        assert_eq!(replies[4].stdout, b"0\n");
    });
}

#[test]
fn a_user_whose_shell_lets_nobody_in_still_runs_jobs() {
    let Some(user) = User::new("b", &["-s", "/usr/sbin/nologin"]) else { return };
    as_root(|host| {
        assert_eq!(text(&run(host, &[user.job("id -un")])[0].stdout).trim(), user.name);
    });
}

#[test]
fn a_user_that_does_not_exist_fails_its_job_and_no_other() {
    if !is_root() {
        return;
    }
    as_root(|host| {
        let unknown = Job { user: Some("kst-no-such-user".into()), ..Job::new("echo never") };
        let fed = Job { input: vec![b'x'; 100_000], ..unknown.clone() };
        let replies = run(host, &[unknown, fed, Job::new("echo after")]);
        for reply in &replies[..2] {
            assert_eq!(reply.status, 1);
            assert!(text(&reply.stderr).contains("kst-no-such-user"), "{}", text(&reply.stderr));
        }
        assert_eq!(replies[2].stdout, b"after\n");
    });
}

#[test]
fn a_user_made_by_an_earlier_job_can_be_used_by_a_later_one() {
    let Some(user) = User::new("c", &[]) else { return };
    let name = user.name.clone();
    drop(user);
    let user = User { name };
    as_root(|host| {
        let replies = run(
            host,
            &[
                Job::new(format!("useradd -m -s /bin/sh {}", user.name)),
                user.job("pwd"),
                Job::new(format!("userdel -r {} 2>/dev/null", user.name)),
            ],
        );
        assert_eq!(text(&replies[1].stdout), format!("/home/{}\n", user.name));
    });
}

#[test]
fn no_script_of_another_user_stands_in_a_command_line() {
    let Some(user) = User::new("d", &[]) else { return };
    as_root(|host| {
        let reply = &run(host, &[user.job("ps axww -o args; : s3same")])[0];
        let list = String::from_utf8_lossy(&reply.stdout).into_owned();
        assert!(reply.ok() && !list.contains("s3same"), "{list}");
    });
}

/// A server that lets a plain user in with the key of the test.
fn server_for(user: &User) -> (Server, Login) {
    let server = Server::start();
    let key = public(&server.folder.path("user_key"));
    server.folder.write("authorized_keys", &key);
    succeed(Command::new("chmod").arg("755").arg(server.folder.path("")));
    let login = Login { user: Some(user.name.clone()), ..server.roster() };
    (server, login)
}

#[test]
fn a_plain_user_runs_jobs_as_itself_and_as_nobody_else() {
    let Some(user) = User::new("e", &[]) else { return };
    fs::write(user.home(".bash_profile"), "echo Welcome; export FROM_PROFILE=yes\n").unwrap();
    let (server, login) = server_for(&user);
    let mut host = connect(login, server.settings()).unwrap();
    let input = Job { input: b"fed".to_vec(), ..user.job("echo $FROM_PROFILE $USER; pwd; cat") };
    let reply = run(&mut *host, &[input]).remove(0);
    assert_eq!(text(&reply.stdout), format!("yes {}\n/home/{}\nfed", user.name, user.name));

    let root = Job { user: Some("root".into()), input: vec![0; 70_000], ..Job::new("id") };
    let error = host.exchange(&[user.job("echo never"), root], &mut |_| {}).unwrap_err();
    assert!(error.done.is_empty());
    match error.cause {
        ExchangeCause::NoSuchLogin { user: wanted, reason } => {
            assert_eq!(wanted, "root");
            assert!(reason.contains(&user.name), "{reason}");
        }
        cause => panic!("{cause:?}"),
    }
    // A refusal leaves the shell usable.
    assert_eq!(run_one(&mut *host, "echo on").stdout, b"on\n");
}

#[test]
fn sudo_makes_the_shell_root_or_says_what_is_missing() {
    let Some(user) = User::new("f", &[]) else { return };
    let (server, login) = server_for(&user);
    let login = Login { sudo: true, ..login };
    let Err(error) = connect(login.clone(), server.settings()) else { panic!("sudo should refuse") };
    assert!(error.message.contains("sudo"), "{error:?}");
    let rule = error.hints[0].split_once("on the host: ").unwrap().1;

    let file = format!("/etc/sudoers.d/{}", user.name);
    fs::write(&file, format!("{rule}\n")).unwrap();
    let result = std::panic::catch_unwind(|| {
        let mut host = connect(login, server.settings()).unwrap();
        let replies = run(&mut *host, &[Job::new("id -un; echo $HOME; pwd"), user.job("id -un; cat")]);
        assert_eq!(text(&replies[0].stdout), "root\n/root\n/root\n");
        assert_eq!(text(&replies[1].stdout).trim(), user.name);
    });
    fs::remove_file(file).unwrap();
    result.unwrap();
}
