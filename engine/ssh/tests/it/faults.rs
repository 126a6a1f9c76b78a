//! Links that break, hosts that fall silent, people who press Ctrl-C: always an answer, never a wait without end.

use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use kstate_core::{Connect as _, ExchangeCause, Interrupt, Job, Limit, Transport};
use kstate_ssh::{Local, Login, SshSettings};

use crate::support::{Server, connect, connect_until, is_root, run, run_one, signal, succeed};

fn three() -> [Job; 3] {
    [Job::new("echo done"), Job::new("echo begun; sleep 60"), Job::new("echo never")]
}

/// Lets something happen while the second job runs.
fn disturb(
    host: &mut dyn Transport,
    jobs: &[Job],
    happen: impl FnOnce() + Send,
) -> kstate_core::ExchangeError {
    let (begun, wait) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            if wait.recv_timeout(Duration::from_secs(20)).is_ok() {
                happen();
            }
        });
        host.exchange(jobs, &mut |output| {
            if output.job == 1 {
                let _ = begun.send(());
            }
        })
        .unwrap_err()
    })
}

#[test]
fn a_killed_session_tells_what_was_done_and_what_was_running() {
    let server = Server::start();
    let mut host = server.connect();
    let begun = Instant::now();
    let error = disturb(&mut *host, &three(), || {
        for session in server.sessions() {
            signal(session, "KILL");
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(error.done.len(), 1);
    assert_eq!(error.done[0].stdout, b"done\n");
    assert_eq!(error.running, Some(1));
    assert!(matches!(error.cause, ExchangeCause::Lost(_)), "{error:?}");
    let again = host.exchange(&[Job::new("true")], &mut |_| {}).unwrap_err();
    assert!(matches!(again.cause, ExchangeCause::Lost(_)), "{again:?}");
}

#[test]
fn a_shell_that_is_killed_on_the_host_is_a_lost_one() {
    let server = Server::start();
    let mut host = server.connect();
    let error = host.exchange(&[Job::new("true"), Job::new("kill -9 $PPID; sleep 9")], &mut |_| {});
    // `$PPID` of a subshell is the server's session process.
    assert!(error.is_err());
}

#[test]
fn a_link_that_falls_silent_is_noticed_in_time() {
    let server = Server::start();
    let mut host = server.connect();
    let begun = Instant::now();
    let error = disturb(&mut *host, &three(), || {
        for session in server.sessions() {
            signal(session, "STOP");
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(matches!(error.cause, ExchangeCause::Silent(_)), "{error:?}");
    assert_eq!(error.running, Some(1));
}

#[test]
fn a_host_that_stops_reading_is_noticed_in_time() {
    let server = Server::start();
    let mut host = connect(server.roster(), quick(server.settings())).unwrap();
    for session in server.sessions() {
        signal(session, "STOP");
    }
    let begun = Instant::now();
    let job = Job { input: vec![0; 50_000_000], ..Job::new("cat >/dev/null") };
    let error = host.exchange(&[job], &mut |_| {}).unwrap_err();
    assert!(matches!(error.cause, ExchangeCause::Silent(_)), "{:?}", error.cause);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

fn quick(settings: SshSettings) -> SshSettings {
    SshSettings { silence: Duration::from_secs(3), connect_timeout: Duration::from_secs(2), ..settings }
}

#[test]
fn a_job_that_says_nothing_for_long_is_not_silence() {
    let server = Server::start();
    let mut host = connect(server.roster(), quick(server.settings())).unwrap();
    assert!(run_one(&mut *host, "sleep 8; echo done").ok());
}

#[test]
fn a_session_lives_on_between_exchanges() {
    let server = Server::start_with(&["-t", "ed25519"], "ClientAliveInterval 1\nClientAliveCountMax 2");
    let mut host = server.connect();
    thread::sleep(Duration::from_secs(5));
    assert!(run_one(&mut *host, "true").ok());
}

#[test]
fn servers_that_do_not_answer_are_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let server = Server::start();
    let login = Login { port: Some(port), timeout: Some(Duration::from_secs(1)), ..server.roster() };
    let begun = Instant::now();
    let error = connect(login.clone(), server.settings()).err().unwrap();
    assert!(error.message.contains("did not answer within 1 s"), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(3));

    drop(silent);
    let begun = Instant::now();
    let error = connect(login, server.settings()).err().unwrap();
    assert!(error.message.contains("refused"), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_server_that_stops_in_the_middle_of_the_login_is_given_up_in_time() {
    let server = Server::start_with(&["-t", "ed25519"], "ForceCommand sleep 20");
    let login = Login { timeout: Some(Duration::from_secs(1)), ..server.roster() };
    let begun = Instant::now();
    let error = connect(login, server.settings()).err().unwrap();
    assert!(error.message.contains("shell does not start"), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(13), "{:?}", begun.elapsed());
}

#[test]
fn a_login_that_only_runs_something_else_says_so() {
    let server = Server::start_with(&["-t", "ed25519"], "ForceCommand echo This account is closed.; exit 1");
    let error = connect(server.roster(), server.settings()).err().unwrap();
    assert!(error.message.contains("This account is closed."), "{error:?}");
}

#[test]
fn names_without_an_address_are_told() {
    let server = Server::start();
    let login = Login { host: "no-such-host.invalid".into(), ..server.roster() };
    let error = connect(login, server.settings()).err().unwrap();
    assert!(error.message.contains("no-such-host.invalid"), "{error:?}");
}

#[test]
fn an_interrupt_ends_the_job_on_the_host_and_the_exchange() {
    let server = Server::start();
    let interrupt = Interrupt::default();
    let ssh = connect_until(server.roster(), server.settings(), interrupt.clone()).unwrap();
    let local_interrupt = Interrupt::default();
    let local = Local::new(local_interrupt.clone()).connect("here").unwrap();
    for (mut host, interrupt) in [(ssh, interrupt), (local, local_interrupt)] {
        let mark = format!("86{}", std::process::id());
        let jobs =
            [Job::new("echo done"), Job::new(format!("echo begun; sleep {mark}")), Job::new("touch /never")];
        let begun = Instant::now();
        let error = disturb(&mut *host, &jobs, || interrupt.raise());
        assert!(matches!(error.cause, ExchangeCause::Interrupted), "{error:?}");
        assert_eq!((error.done.len(), error.running), (1, Some(1)));
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        let left = succeed(Command::new("ps").args(["axww", "-o", "args"]));
        assert!(!left.contains(&format!("sleep {mark}")), "{left}");
        assert!(!std::path::Path::new("/never").exists());
    }
}

#[test]
fn an_interrupt_ends_the_connecting() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::start();
    let login = Login { port: Some(silent.local_addr().unwrap().port()), ..server.roster() };
    let interrupt = Interrupt::default();
    let later = interrupt.clone();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        later.raise();
    });
    let begun = Instant::now();
    let error = connect_until(login, server.settings(), interrupt).err().unwrap();
    assert!(error.message.contains("interrupted"), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn nothing_is_left_on_the_host_after_a_run() {
    let server = Server::start();
    let mut host = server.connect();
    run(&mut *host, &[Job { input: vec![1; 100_000], ..Job::new("cat >/dev/null") }]);
    drop(host);
    let deadline = Instant::now() + Duration::from_secs(5);
    while !server.sessions().is_empty() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
    assert!(server.sessions().is_empty());
}

#[test]
fn many_hosts_are_connected_side_by_side() {
    let server = Server::start();
    let logins = (0..20).map(|n| (format!("host{n}"), server.roster())).collect();
    let ssh = kstate_ssh::Ssh::new(logins, server.settings(), Interrupt::default()).unwrap();
    thread::scope(|scope| {
        for n in 0..20 {
            let ssh = &ssh;
            scope.spawn(move || {
                let mut host = ssh.connect(&format!("host{n}")).unwrap();
                assert_eq!(run_one(&mut *host, &format!("echo {n}")).stdout, format!("{n}\n").as_bytes());
            });
        }
    });
    assert!(is_root() || !server.log().contains("fatal"));
}

#[test]
fn a_question_of_a_killed_session_ends_by_itself() {
    let server = Server::start();
    let mut host = server.connect();
    let pid = server.folder.path("pid");
    let question = Job {
        limit: Some(Limit::of_answers(1, "a pipe")),
        ..Job::new(format!("sh -c 'echo $$ >{}; exec sleep 60'", pid.display()))
    };
    let jobs = [Job::new("true"), Job::new("echo begun"), question];
    disturb(&mut *host, &jobs, || {
        while std::fs::read_to_string(&pid).unwrap_or_default().is_empty() {
            thread::sleep(Duration::from_millis(10));
        }
        for session in server.sessions() {
            signal(session, "KILL");
        }
    });
    let number = std::fs::read_to_string(&pid).unwrap();
    let process = format!("/proc/{}", number.trim());
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::path::Path::new(&process).exists() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
    assert!(!std::path::Path::new(&process).exists(), "it goes on");
}

#[test]
fn a_question_that_takes_too_long_is_named_and_the_shell_lives_on() {
    let server = Server::start();
    let mut host = server.connect();
    let limit = Limit { time: Duration::from_secs(1), ..Limit::of_answers(1, "a pipe") };
    let question = Job { limit: Some(limit), ..Job::new("sleep 60") };
    let begun = Instant::now();
    let replies = run(&mut *host, &[question, Job::new("echo after")]);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(replies[0].overdue && !replies[0].ok());
    assert_eq!(replies[1].stdout, b"after\n");
}

#[test]
fn after_an_interrupt_what_has_to_be_done_is_done_over_another_shell() {
    let server = Server::start();
    let interrupt = Interrupt::default();
    let ssh = connect_until(server.roster(), server.settings(), interrupt.clone()).unwrap();
    let local_interrupt = Interrupt::default();
    let local = Local::new(local_interrupt.clone()).connect("here").unwrap();
    for (mut host, interrupt) in [(ssh, interrupt), (local, local_interrupt)] {
        let begun = Instant::now();
        disturb(&mut *host, &[Job::new("true"), Job::new("yes")], || interrupt.raise());
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert!(host.exchange(&[Job::new("true")], &mut |_| {}).is_err());
        host.heed_interrupt(false);
        assert_eq!(run_one(&mut *host, "echo done").stdout, b"done\n");
    }
}
