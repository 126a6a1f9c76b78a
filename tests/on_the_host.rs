//! What a host looks like afterwards: whole files or the old ones, and nothing that was not declared.

use std::collections::BTreeSet;

use crate::support::{Host, TestEnv};

/// All that is on the host's file system, with size, time and number of each file. What the system itself writes all
/// the time is left out.
fn everything(host: &Host) -> BTreeSet<String> {
    let list = host.sh(
        "find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /dev -o -path /var/log -o -path /var/cache/man \
         -o -path /var/lib/systemd -o -path /var/lib/private \\) -prune -o -printf '%p %y %s %T@ %i %m\\n'; \
         find /tmp /dev/shm /var/tmp -mindepth 1 -not -name 'systemd-private-*' -not -path '*/systemd-private-*' -printf '%p\\n'",
    );
    list.lines().map(str::to_owned).collect()
}

fn names(of: &BTreeSet<String>) -> BTreeSet<&str> {
    of.iter().filter_map(|line| line.split(' ').next()).collect()
}

#[test]
#[ignore = "needs a sandbox host"]
fn nothing_is_left_on_the_host_but_what_is_declared() {
    let host = Host::pristine("nothing");
    let env = TestEnv::of(
        &host,
        "/srv/new/file:\n  file.managed:\n    - contents: x\n    - makedirs: True\n\
         /srv/link:\n  file.symlink:\n    - target: /srv/new/file\n\
         command:\n  cmd.run:\n    - name: echo made >/srv/made\n    - creates: /srv/made\n\
         fails:\n  cmd.run:\n    - name: echo no >&2; exit 1\n    - creates: /nowhere\n",
    );
    let fresh = everything(&host);
    env.diff();
    let looked = everything(&host);
    assert_eq!(
        looked.difference(&fresh).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "a diff changed something"
    );
    assert_eq!(
        fresh.difference(&looked).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "a diff removed something"
    );

    env.apply().exits(1);
    let made = everything(&host);
    // The journal has a folder of its own, in which nothing is left.
    let new: Vec<&str> = names(&made).difference(&names(&fresh)).copied().collect();
    assert_eq!(new, ["/srv/link", "/srv/made", "/srv/new", "/srv/new/file", "/var/lib/kstate"]);
    assert_eq!(host.sh("ls -A /var/lib/kstate"), "");

    env.apply().exits(1);
    let again = everything(&host);
    // Records come and go there.
    let is_meant =
        |line: &&String| !line.starts_with("/var/tmp d ") && !line.starts_with("/var/lib/kstate d ");
    assert_eq!(
        again.difference(&made).filter(is_meant).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "an unchanged apply wrote"
    );
    let processes = host.sh("pgrep -af kstate || :");
    assert_eq!(processes, "", "processes are left");
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_file_that_cannot_be_written_whole_stays_the_old_one() {
    let host = Host::pristine("fulldisk");
    host.sh("mkdir -p /mnt/small /mnt/fixed
         mount -t tmpfs -o size=256k none /mnt/small; head -c 100000 /dev/zero | tr '\\0' a >/mnt/small/file
         mount -t tmpfs none /mnt/fixed; echo old >/mnt/fixed/file; mount -o remount,ro /mnt/fixed");
    let env = TestEnv::of(
        &host,
        "/mnt/small/file:\n  file.managed:\n    - source: salt://big\n\
         /mnt/fixed/file:\n  file.managed:\n    - contents: new\n\
         /srv/other:\n  file.managed:\n    - contents: x\n",
    );
    env.write("states/big", &"b".repeat(200_000));
    let before = host.sh("sha256sum /mnt/small/file /mnt/fixed/file; stat -c '%i %Y' /mnt/small/file");
    let output = env.apply();
    output.exits(1);
    assert_eq!(output.outcome("/mnt/small/file"), "failed");
    assert!(output.reason("/mnt/small/file").contains("No space left on device"), "{output}");
    assert_eq!(output.outcome("/mnt/fixed/file"), "failed");
    assert!(output.reason("/mnt/fixed/file").contains("Read-only file system"), "{output}");
    assert_eq!(output.outcome("/srv/other"), "changed");
    assert_eq!(host.sh("sha256sum /mnt/small/file /mnt/fixed/file; stat -c '%i %Y' /mnt/small/file"), before);
    assert_eq!(host.sh("ls -A /mnt/small /mnt/fixed"), "/mnt/fixed:\nfile\n\n/mnt/small:\nfile");

    // With room, the same apply goes through.
    host.sh("mount -o remount,size=2m /mnt/small; mount -o remount,rw /mnt/fixed");
    env.apply().exits(0);
    env.diff().exits(0);
}

#[test]
#[ignore = "needs a sandbox host"]
fn what_a_package_brings_is_looked_up_when_it_is_needed() {
    let host = Host::pristine("needed");
    let env = TestEnv::of(
        &host,
        "python:\n  pkg.installed:\n    - pkgs:\n      - python3-venv\n      - virtualenv\n\
         /srv/requirements.txt:\n  file.managed:\n    - contents: six==1.16.0\n\
         /srv/ve:\n  virtualenv.managed:\n    - requirements: /srv/requirements.txt\n    - require:\n      - pkg: python\n\
         redis:\n  pkg.installed:\n    - name: redis-server\n\
         redis-server:\n  service.running:\n    - enable: True\n    - require:\n      - pkg: redis\n\
         app:\n  user.present: []\n\
         /home/app/file:\n  file.managed:\n    - contents: x\n    - user: app\n    - require:\n      - user: app\n",
    );
    let output = env.diff();
    output.exits(2);
    assert_eq!(output.ids("failed"), BTreeSet::new(), "{output}");
    let output = env.apply();
    output.exits(0);
    // The package of Debian starts its service itself.
    assert_eq!(output.ids("changed").len(), 6, "{output}");
    assert_eq!(output.ids("unchanged").len(), 1, "{output}");
    let output = env.apply();
    output.exits(0);
    assert_eq!(output.ids("unchanged").len(), 7, "{output}");
    env.diff().exits(0);
}

#[test]
#[ignore = "needs a sandbox host"]
fn a_checkout_shows_what_would_come_and_what_would_be_lost() {
    let host = Host::pristine("commits");
    host.sh(
        "git init -q -b main /srv/tree && cd /srv/tree && git config user.name Robin && git config user.email r@example.org
         echo 1 >file && git add file && git commit -qm First && git clone -q --bare . /srv/app.git",
    );
    let env = TestEnv::of(
        &host,
        "checkout:\n  git.latest:\n    - name: /srv/app.git\n    - target: /srv/checkout\n    - rev: main\n    - branch: main\n    - force_reset: True\n",
    );
    env.apply().exits(0);
    host.sh(
        "cd /srv/tree && echo 2 >file && git commit -qam 'Add the second' && echo 3 >file && git commit -qam 'Add the third' && git push -q /srv/app.git main
         echo mine >/srv/checkout/file",
    );
    let output = env.diff();
    output.exits(2);
    let shown = output.state("checkout")["changes"].to_string();
    for text in ["Add the second", "Add the third", "file"] {
        assert!(shown.contains(text), "{text} is not shown: {output}");
    }
    assert_eq!(host.sh("cat /srv/checkout/file"), "mine");
    env.apply().exits(0);
    assert_eq!(host.sh("cat /srv/checkout/file"), "3");
    // Addresses are compared as they are configured, not as `insteadOf` shows them.
    host.sh("git config --system url.file:///srv/app.git.insteadOf https://example.org/app.git; git -C /srv/checkout remote set-url origin https://example.org/app.git");
    env.sls("it", "checkout:\n  git.latest:\n    - name: https://example.org/app.git\n    - target: /srv/checkout\n    - rev: main\n    - branch: main\n");
    env.diff().exits(0);
}
