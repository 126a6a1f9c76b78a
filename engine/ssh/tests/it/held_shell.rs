//! What jobs may do, over SSH and on this machine alike.

use std::time::{Duration, Instant};

use kstate_core::{Connect as _, Interrupt, Job, Keep, Transport};
use kstate_ssh::Local;

use crate::support::{Server, run, run_one, text};

/// Each claim holds over SSH as well as locally.
fn both(claim: fn(&mut dyn Transport)) {
    claim(&mut *Local::new(Interrupt::default()).connect("here").unwrap());
    let server = Server::start();
    claim(&mut *server.connect());
}

#[test]
fn jobs_answer_in_order_with_their_own_streams_and_status() {
    both(|host| {
        let replies = run(
            host,
            &[
                Job::new("echo one; echo two >&2"),
                Job::new("exit 3"),
                Job::new("printf three"),
                Job::new("no-such-command-here"),
                Job::new("if"),
                Job::new(""),
            ],
        );
        assert_eq!((text(&replies[0].stdout), text(&replies[0].stderr)), ("one\n", "two\n"));
        assert_eq!(replies[1].status, 3);
        assert_eq!(text(&replies[2].stdout), "three");
        assert_eq!(replies[3].status, 127);
        assert_eq!(replies[4].status, 2);
        assert!(!replies[4].stderr.is_empty());
        assert!(replies[5].ok());
        assert_eq!(run_one(host, "echo again").stdout, b"again\n");
    });
}

#[test]
fn a_job_that_kills_its_shell_leaves_the_held_one() {
    both(|host| {
        let replies = run(
            host,
            &[
                Job::new("kill -9 $$"),
                Job::new("kill -TERM ${$}; sleep 5"),
                Job::new("sh -c 'kill -SEGV $$'"),
                Job { input: b"x".to_vec(), ..Job::new("read a; echo $a; kill -KILL $$") },
            ],
        );
        let statuses: Vec<i32> = replies.iter().map(|reply| reply.status).collect();
        assert_eq!(statuses, [137, 143, 139, 137]);
        assert_eq!(replies[3].stdout, b"x\n");
        assert!(run_one(host, "true").ok());
    });
}

#[test]
fn input_is_exactly_what_was_given_whatever_the_job_reads_of_it() {
    both(|host| {
        let binary: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        let with = |script: &str, input: &[u8]| Job { input: input.to_vec(), ..Job::new(script) };
        let replies = run(
            host,
            &[
                with("cat", &binary),
                with("true", &binary),
                with("head -c 3", b"abcdef"),
                with("cat; cat", b"short"),
                Job::new("cat; echo nothing"),
                with("exec <&-; echo closed", b"unread"),
                with("wc -c", &binary[..65_536]),
            ],
        );
        assert_eq!(replies[0].stdout, binary);
        assert!(replies[1].ok());
        assert_eq!(replies[2].stdout, b"abc");
        assert_eq!(replies[3].stdout, b"short");
        assert_eq!(replies[4].stdout, b"nothing\n");
        assert_eq!(replies[5].stdout, b"closed\n");
        assert_eq!(text(&replies[6].stdout).trim(), "65536");
    });
}

#[test]
fn five_megabytes_travel_both_ways_at_once() {
    both(|host| {
        let binary: Vec<u8> =
            (0..5_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut seen = 0;
        let job = Job { input: binary.clone(), keep: Keep::Whole, ..Job::new("tee /dev/stderr") };
        let replies = host.exchange(&[job], &mut |output| seen += output.bytes.len()).unwrap();
        assert!(replies[0].stdout == binary && replies[0].stderr == binary);
        assert_eq!(seen, 2 * binary.len());
    });
}

#[test]
fn two_thousand_jobs_are_one_round_trip() {
    both(|host| {
        let jobs: Vec<Job> = (0..2000).map(|n| Job::new(format!("echo {n}; exit {}", n % 7))).collect();
        let before = host.traffic().round_trips;
        let replies = run(host, &jobs);
        assert_eq!(host.traffic().round_trips, before + 1);
        for (n, reply) in replies.iter().enumerate() {
            assert_eq!(text(&reply.stdout), format!("{n}\n"));
            assert_eq!(reply.status as usize, n % 7);
        }
    });
}

#[test]
fn a_process_left_behind_neither_hangs_nor_mixes_in() {
    both(|host| {
        let begun = Instant::now();
        let replies =
            run(host, &[Job::new("(sleep 0.4; echo late) & echo begun"), Job::new("sleep 20 & echo $!")]);
        assert!(begun.elapsed() < Duration::from_secs(3));
        assert_eq!(replies[0].stdout, b"begun\n");
        std::thread::sleep(Duration::from_millis(700));
        let reply = run_one(host, &format!("kill {}; echo mine", text(&replies[1].stdout).trim()));
        assert_eq!(reply.stdout, b"mine\n");
    });
}

#[test]
fn jobs_do_not_see_one_another() {
    both(|host| {
        let replies = run(
            host,
            &[
                Job::new("a=1; cd /tmp; umask 077; export LEFT=1; trap 'echo bye' EXIT; alias x=y"),
                Job::new("echo \"[$a][$LEFT]\"; umask; [ \"$PWD\" != /tmp ]"),
                Job::new("set; (typeset -f; declare -f) 2>/dev/null; env"),
            ],
        );
        assert_eq!(replies[0].stdout, b"bye\n");
        assert_eq!(replies[1].stdout, b"[][]\n0022\n");
        assert!(replies[1].ok());
        let environment = text(&replies[2].stdout);
        assert!(environment.contains("LC_ALL=C"));
        assert!(environment.contains("/usr/local/sbin"));
    });
}

#[test]
fn output_is_seen_while_it_comes() {
    both(|host| {
        let begun = Instant::now();
        let mut first = None;
        host.exchange(&[Job::new("echo first; sleep 1; echo second")], &mut |_| {
            first.get_or_insert_with(|| begun.elapsed());
        })
        .unwrap();
        assert!(first.unwrap() < Duration::from_millis(800));
    });
}

#[test]
fn scripts_stand_in_no_command_line_and_in_no_file() {
    both(|host| {
        let replies = run(
            host,
            &[
                Job::new("secret=s3same$$; ps axww -o args 2>/dev/null || cat /proc/[0-9]*/cmdline"),
                Job { input: b"s3same".to_vec(), ..Job::new("ps axww -o args; cat >/dev/null # s3same") },
            ],
        );
        for reply in replies {
            let list = String::from_utf8_lossy(&reply.stdout).into_owned();
            assert!(!list.contains("s3same"), "{list}");
        }
    });
}
