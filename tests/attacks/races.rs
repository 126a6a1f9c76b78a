//! A program of `app` that swaps files and directories for links to root's, as fast as it can, while root applies.

use std::fmt::Write as _;
use std::time::Duration;

use crate::support::{Host, TestEnv, run};

/// How many paths of each kind are swapped.
const WIDTH: usize = 25;
/// Without `KSTATE_RACE_ROUNDS`; ten rounds are 1,250 races.
const ROUNDS: usize = 1;

/// Exchanges each name below `~/race` with a link, in a tight loop of renameat2(RENAME_EXCHANGE).
const SWAP: &str = "
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
os.chdir('/home/app/race')
names = [n.encode() for n in os.listdir('.') if not n.endswith('.link')]
end = time.time() + 400
while time.time() < end and not os.path.exists('/home/app/stop'):
    for n in names:
        libc.renameat2(-100, n, -100, n + b'.link', 2)
";

/// Everything that root has, as one text: it must be the same before and after.
const PRIZES: &str = "cd /root/prizes && stat -c '%n %a %u %g %h %F' . * && cat f* && ls -a d*";

fn prepare(host: &Host) {
    host.sh(&format!(
        "mkdir -p /root/prizes && cd /root/prizes
for i in $(seq 0 {last}); do echo prize >f$i; chmod 600 f$i; mkdir -m 700 d$i; done
cat >/home/app/swap.py <<'END'\n{SWAP}\nEND
su app -c 'mkdir ~/race && cd ~/race || exit 1
for i in $(seq 0 {last}); do
for kind in w a e; do echo mine >$kind$i; ln -s /root/prizes/f$i $kind$i.link; done
for kind in d p; do mkdir $kind$i; ln -s /root/prizes/d$i $kind$i.link; done
ln -s /root/prizes/f$i r$i.link
done'
mkdir /home/app/own; cd /home/app/race && for i in $(seq 0 {last}); do echo mine >../own/r$i; ln -s ../own/r$i r$i; done; chown -R app: ../own",
        last = WIDTH - 1,
    ));
}

/// Writes, edits, attributes, directories and parents; each round declares them in another way.
fn states(round: usize) -> String {
    let mode = if round.is_multiple_of(2) { "0666" } else { "0646" };
    let user = if round.is_multiple_of(2) { "app" } else { "www-data" };
    let mut sls = String::new();
    for i in 0..WIDTH {
        let _ = write!(
            sls,
            "/home/app/race/w{i}:
  file.managed:
    - contents: round {round}
    - mode: '{mode}'
    - user: {user}
/home/app/race/a{i}:
  file.managed:
    - replace: False
    - mode: '{mode}'
    - user: {user}
/home/app/race/e{i}:
  file.append:
    - text: round {round}
/home/app/race/d{i}:
  file.directory:
    - mode: '{mode}'
    - user: {user}
/home/app/race/p{i}/{round}/x:
  file.managed:
    - contents: round {round}
    - makedirs: True
    - user: app
"
        );
    }
    // A link of root that `app` puts in the place of its own while root reads whose it is.
    for i in 0..WIDTH / 5 {
        let _ = write!(sls, "/home/app/race/r{i}:\n  file.append:\n    - text: round {round}\n");
    }
    sls
}

#[test]
#[ignore = "needs a sandbox host"]
fn nothing_of_root_is_changed_or_shown() {
    let host = Host::with("races", &["--full", "--user", "app"]);
    prepare(&host);
    let before = host.sh(PRIZES);
    let env = TestEnv::of(&host, "");
    host.sh("su app -c 'setsid nohup python3 ~/swap.py >/dev/null 2>&1 &'");
    let rounds = std::env::var("KSTATE_RACE_ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap());
    for round in 0..rounds {
        env.sls("it", &states(round));
        // Many of these states fail, each after a round trip of its own.
        let output = run(&mut env.command(&["apply", "it", "--yes"]), "", Duration::from_secs(400));
        assert!(!output.stdout.contains("prize\n"), "{}", output.stdout);
        let made = host.sh("find /root/prizes -newer /home/app/swap.py -path '*/d*/*'");
        assert_eq!(made, "", "{}", output.stdout);
    }
    host.sh("touch /home/app/stop");
    assert_eq!(host.sh(PRIZES), before);
    // Nothing that `app` may read holds what root kept for itself.
    let leaked = host.sh("grep -rlsx prize /home/app/race /home/app/own --include='[ewr]*' | while read -r f; do [ -L \"$f\" ] || echo \"$f\"; done");
    assert_eq!(leaked, "");
}
