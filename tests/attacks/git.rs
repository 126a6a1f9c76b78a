//! Checkouts of others: what is configured in them never runs as root.

use crate::support::{Host, TestEnv};

const APPLY: [&str; 3] = ["apply", "it", "--yes"];

/// A remote of root, and checkouts of it that belong to the user `app`, in which everything that git may run leaves a mark
/// that only root can leave.
const PLANT: &str = r#"
mkdir -p /srv/git /srv/www /marks; chmod 700 /marks
git init -q --bare -b main /srv/git/app.git
git clone -q /srv/git/app.git /root/work 2>/dev/null; cd /root/work
echo one >file; printf 'file filter=evil diff=evil merge=evil\n' >.gitattributes; : >manage.py; : >alembic.ini
git add .; git -c user.name=a -c user.email=a@b commit -qm one; git push -q origin HEAD:main
git config --system --add safe.directory /srv/git/app.git
plant() { su - app -s /bin/sh -c "sh -s -- $1" <<'END'
git clone -q /srv/git/app.git ~/"$1"; cd ~/"$1"
mark='touch /marks/of-$$; cat'
printf '#!/bin/sh\ntouch /marks/hook\n' >~/mark; chmod +x ~/mark
for h in post-checkout pre-commit post-merge reference-transaction post-index-change fsmonitor-watchman; do cp ~/mark .git/hooks/$h; done
git config core.fsmonitor ~/mark; git config core.hooksPath .git/hooks; git config core.sshCommand ~/mark
git config core.pager ~/mark; git config core.editor ~/mark; git config gpg.program ~/mark; git config log.showSignature true
git config filter.evil.clean "$mark"; git config filter.evil.smudge "$mark"; git config filter.evil.required true
git config diff.evil.textconv ~/mark; git config diff.external ~/mark; git config merge.evil.driver ~/mark
git config alias.rev-parse '!touch /marks/alias'; git config alias.status '!touch /marks/alias'
git config remote.origin.uploadpack ~/mark; git config remote.origin.promisor true; git config extensions.partialClone origin
git config credential.helper '!touch /marks/credential'; git config core.askPass ~/mark; git config uploadpack.packObjectsHook ~/mark
echo two >>file
printf 'open("/marks/python", "w")\n' | tee manage.py alembic.ini env.py >/dev/null
END
}
plant plain
plant links; plant config; plant inside
ln -s ~app/links /srv/www/links
mkdir /srv/www/file; echo "gitdir: /home/app/links/.git" >/srv/www/file/.git
mkdir /srv/www/gitlink; ln -s ~app/links/.git /srv/www/gitlink/.git
mv ~app/config /srv/www/config; chown -R root: /srv/www/config; chown app /srv/www/config/.git/config
mv ~app/inside /srv/www/inside; chown -R root: /srv/www/inside; install -d -o app /srv/app; mv /srv/www/inside /srv/app/inside
mkdir /srv/www/open; chmod 777 /srv/www/open
rm -f /marks/*
cd /; su app -s /bin/sh -c "git clone -q --bare /srv/git/app.git /home/app/bare.git"
"#;

fn state(id: &str, name: &str, target: &str, more: &str) -> String {
    format!(
        "{id}:\n  git.latest:\n    - name: {name}\n    - target: {target}\n    - rev: main\n    - force_reset: True\n{more}"
    )
}

#[test]
#[ignore = "needs a sandbox host"]
fn what_a_checkout_of_somebody_else_configures_never_runs_as_root() {
    let host = Host::with("git-owner", &["--full", "--user", "app"]);
    host.sh(PLANT);
    // The trap works: this is what root must not do.
    host.sh("cd /; git -c safe.directory='*' -C /home/app/plain status >/dev/null 2>&1; ls /marks/* && rm /marks/*");
    let remote = "/srv/git/app.git";
    let targets = [
        "/home/app/plain",
        "/srv/www/links",
        "/srv/www/file",
        "/srv/www/gitlink",
        "/srv/www/config",
        "/srv/app/inside",
        "/srv/www/open/new",
        "/home/app/new",
    ];
    let states = targets.iter().enumerate().map(|(n, target)| state(&format!("c{n}"), remote, target, ""));
    let mut sls: String = states.collect();
    sls.push_str(&state("bare", "/home/app/bare.git", "/srv/bare", ""));
    sls.push_str("django:\n  django.migrated:\n    - cwd: /home/app/plain\n");
    sls.push_str("alembic:\n  alembic.upgraded:\n    - cwd: /home/app/plain\n");
    let env = TestEnv::of(&host, &sls);
    for (words, command) in [(&["diff", "it"][..], "diff"), (&APPLY, "apply")] {
        let output = env.kstate(words);
        assert_eq!(host.sh("ls -A /marks"), "", "{command}: {output}");
        output.exits(1).says("add `user: app`").says("11 failed").says("others can change `/srv/www/open`");
    }
    // As its owner it works, and what it runs is theirs.
    host.sh("su app -s /bin/sh -c 'cd ~/plain && git checkout -q file; for k in core.fsmonitor core.hooksPath diff.external; do git config --unset $k; done; git config --remove-section filter.evil; git config --unset remote.origin.promisor; git config --unset extensions.partialClone; git config --unset remote.origin.uploadpack; rm -f .git/hooks/*; git reset -q --hard'");
    env.sls("it", &state("mine", remote, "/home/app/plain", "    - user: app\n"));
    env.kstate(&APPLY).exits(0);
    env.kstate(&["diff", "it"]).exits(0).says("1 as declared");
    assert_eq!(host.sh("ls -A /marks"), "");
}
