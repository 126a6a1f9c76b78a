//! Every state function on a real host: absent, made, unchanged, damaged by hand, seen, repaired, unchanged.
//!
//! A case is an SLS, a proof, and a damage. Cases share a host and their runs: whatever a run says about one of them is
//! held against what it should say, so a case that sees the damage of another fails as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::support::{Host, Output, TestEnv};

struct Case {
    /// The state function, maybe with a word about the variant.
    function: &'static str,
    /// The state under test has this id.
    id: &'static str,
    /// Its SLS. Ids other than `id` are there to be required.
    sls: &'static str,
    /// Makes the host as it is before.
    before: &'static str,
    /// Holds when the state is as declared.
    proof: &'static str,
    /// What happens by hand.
    by_hand: &'static str,
}

const PRISTINE: &[Case] = &[
    Case {
        function: "cmd.run with creates",
        id: "make a file once",
        sls: "
make a file once:
  cmd.run:
    - name: echo made >/srv/t/once
    - creates: /srv/t/once
",
        before: "",
        proof: "grep -qx made /srv/t/once",
        by_hand: "rm /srv/t/once",
    },
    Case {
        function: "cmd.run with unless",
        id: "name the host",
        sls: "
name the host:
  cmd.run:
    - name: echo good >name
    - cwd: /srv/t
    - unless: grep -qx good name
    - runas: root
",
        before: "echo bad >/srv/t/name",
        proof: "grep -qx good /srv/t/name",
        by_hand: "echo bad >/srv/t/name",
    },
    Case {
        function: "cron.present",
        id: "a job",
        sls: "
a job:
  cron.present:
    - name: /usr/bin/true --job
    - identifier: a-job
    - user: root
    - minute: '*/5'
    - hour: 3
    - comment: what it is for
",
        before: "printf '# mine\\n7 7 * * * /usr/bin/true --foreign\\n' | crontab -",
        proof: "crontab -l | grep -qxF '*/5 3 * * * /usr/bin/true --job' && crontab -l | head -n 2 | tr '\\n' + | grep -qxF '# mine+7 7 * * * /usr/bin/true --foreign+'",
        by_hand: "crontab -l | sed 's|^.*/5 3|0 4|' | crontab -",
    },
    Case {
        function: "cron.absent",
        id: "an old job",
        sls: "
an old job:
  cron.absent:
    - identifier: old-job
    - user: daemon
",
        before: "printf '# Lines below here are managed by Salt, do not edit\\n# SALT_CRON_IDENTIFIER:old-job\\n1 * * * * /usr/bin/true --old\\n2 * * * * /usr/bin/true --kept\\n' | crontab -u daemon -",
        proof: "! crontab -u daemon -l | grep -q old && crontab -u daemon -l | grep -q kept",
        by_hand: "(crontab -u daemon -l; printf '# SALT_CRON_IDENTIFIER:old-job\\n1 * * * * /usr/bin/true --old\\n') | crontab -u daemon -",
    },
    Case {
        function: "cron.env_present",
        id: "MAILTO",
        sls: "
MAILTO:
  cron.env_present:
    - user: games
    - value: admin@example.org
",
        before: "",
        proof: "crontab -u games -l | tr -d '\"' | grep -qx MAILTO=admin@example.org",
        by_hand: "crontab -u games -l | sed 's/admin/nobody/' | crontab -u games -",
    },
    Case {
        function: "cron.env_absent",
        id: "SHELL",
        sls: "
SHELL:
  cron.env_absent:
    - user: mail
",
        before: "printf '# Lines below here are managed by Salt, do not edit\\nSHELL=/bin/false\\n1 1 * * * /usr/bin/true\\n' | crontab -u mail -",
        proof: "! crontab -u mail -l | grep -q SHELL && crontab -u mail -l | grep -q true",
        by_hand: "(crontab -u mail -l | sed 1a\\\\SHELL=/bin/false) | crontab -u mail -",
    },
    Case {
        function: "cron.file",
        id: "salt://crontab",
        sls: "
salt://crontab:
  cron.file:
    - user: news
",
        before: "",
        proof: "crontab -u news -l | grep -qx '5 5 \\* \\* \\* /usr/bin/true --whole'",
        by_hand: "echo '6 6 * * * /usr/bin/true' | crontab -u news -",
    },
    Case {
        function: "file.absent",
        id: "/srv/t/absent",
        sls: "
/srv/t/absent:
  file.absent: []
",
        before: "mkdir -p /srv/t/absent/below; echo x >/srv/t/absent/below/file",
        proof: "! test -e /srv/t/absent",
        by_hand: "touch /srv/t/absent",
    },
    Case {
        function: "file.append",
        id: "/srv/t/append",
        sls: "
/srv/t/append:
  file.append:
    - text:
      - second line
      - third line
",
        before: "echo first line >/srv/t/append",
        proof: "printf 'first line\\nsecond line\\nthird line\\n' | cmp -s - /srv/t/append",
        by_hand: "sed -i /third/d /srv/t/append",
    },
    Case {
        function: "file.comment",
        id: "/srv/t/comment",
        sls: "
/srv/t/comment:
  file.comment:
    - regex: ^swap
",
        before: "printf 'root\\nswap on\\n' >/srv/t/comment",
        proof: "printf 'root\\n#swap on\\n' | cmp -s - /srv/t/comment",
        by_hand: "sed -i 's/^#swap/swap/' /srv/t/comment",
    },
    Case {
        function: "file.directory",
        id: "/srv/t/made/directory",
        sls: "
/srv/t/made/directory:
  file.directory:
    - user: daemon
    - group: daemon
    - mode: '0750'
    - makedirs: True
",
        before: "",
        proof: "test \"$(stat -c %U:%G:%a /srv/t/made/directory)\" = daemon:daemon:750",
        by_hand: "chmod 700 /srv/t/made/directory; chown root /srv/t/made/directory",
    },
    Case {
        function: "file.directory with recurse",
        id: "/srv/t/whole",
        sls: "
/srv/t/whole:
  file.directory:
    - user: daemon
    - dir_mode: '0755'
    - file_mode: '0644'
    - recurse:
      - user
      - mode
",
        before: "mkdir -p /srv/t/whole/below; echo x >/srv/t/whole/below/file; chmod 600 /srv/t/whole/below/file",
        proof: "test \"$(find /srv/t/whole -printf '%u:%m ')\" = 'daemon:755 daemon:755 daemon:644 '",
        by_hand: "chown root /srv/t/whole/below/file",
    },
    Case {
        function: "file.keyvalue",
        id: "/srv/t/keyvalue",
        sls: "
/srv/t/keyvalue:
  file.keyvalue:
    - key_values:
        Port: '22'
    - separator: ' '
",
        before: "printf 'Port 2222\\nUse no\\n' >/srv/t/keyvalue",
        proof: "printf 'Port 22\\nUse no\\n' | cmp -s - /srv/t/keyvalue",
        by_hand: "sed -i 's/22$/24/' /srv/t/keyvalue",
    },
    Case {
        function: "file.managed by its content",
        id: "/srv/t/content",
        sls: "
/srv/t/content:
  file.managed:
    - contents: |
        one
        two
",
        before: "echo old >/srv/t/content",
        proof: "printf 'one\\ntwo\\n' | cmp -s - /srv/t/content",
        by_hand: "echo three >>/srv/t/content",
    },
    Case {
        function: "file.managed by its mode and owner",
        id: "/srv/t/deep/down/mode",
        sls: "
/srv/t/deep/down/mode:
  file.managed:
    - contents: x
    - mode: '0640'
    - user: daemon
    - group: mail
    - makedirs: True
",
        before: "",
        proof: "test \"$(stat -c %U:%G:%a /srv/t/deep/down/mode)\" = daemon:mail:640",
        by_hand: "chmod 644 /srv/t/deep/down/mode; chgrp root /srv/t/deep/down/mode",
    },
    Case {
        function: "file.managed from a template",
        id: "/srv/t/template",
        sls: "
/srv/t/template:
  file.managed:
    - source: salt://greeting.txt
    - template: jinja
    - context:
        greeting: Hello
",
        before: "",
        proof: "grep -qx \"Hello from $(hostname)\" /srv/t/template",
        by_hand: "rm /srv/t/template",
    },
    Case {
        function: "file.managed of bytes under a strange name",
        id: "/srv/t/it's \"a\" $HOME; `file` \\ * é",
        sls: "
\"/srv/t/it's \\\"a\\\" $HOME; `file` \\\\ * é\":
  file.managed:
    - source: salt://bytes
",
        before: "",
        proof: "test \"$(cat /srv/t/it\\'s* | sha256sum)\" = \"$(cat /srv/bytes.sum)\"",
        by_hand: "for file in /srv/t/it\\'s*; do echo x >>\"$file\"; done",
    },
    Case {
        function: "file.prepend",
        id: "/srv/t/prepend",
        sls: "
/srv/t/prepend:
  file.prepend:
    - text: first
",
        before: "echo second >/srv/t/prepend",
        proof: "printf 'first\\nsecond\\n' | cmp -s - /srv/t/prepend",
        by_hand: "sed -i 1d /srv/t/prepend",
    },
    Case {
        function: "file.recurse",
        id: "/srv/t/recurse",
        sls: "
/srv/t/recurse:
  file.recurse:
    - source: salt://folder
    - user: daemon
    - file_mode: '0644'
    - dir_mode: '0755'
    - clean: True
",
        before: "mkdir -p /srv/t/recurse; echo x >/srv/t/recurse/foreign",
        proof: "cd /srv/t/recurse && test \"$(find . -type f -printf '%p:%u:%m ' | tr ' ' '\\n' | sort | tr '\\n' ' ')\" = './below/two:daemon:644 ./one:daemon:644 ' && grep -qx one one && grep -qx two below/two",
        by_hand: "rm /srv/t/recurse/one; echo x >>/srv/t/recurse/below/two; touch /srv/t/recurse/foreign",
    },
    Case {
        function: "file.replace",
        id: "/srv/t/replace",
        sls: "
/srv/t/replace:
  file.replace:
    - pattern: ^#?Password .*$
    - repl: Password no
    - append_if_not_found: True
",
        before: "printf 'Port 22\\n#Password yes\\n' >/srv/t/replace",
        proof: "printf 'Port 22\\nPassword no\\n' | cmp -s - /srv/t/replace",
        by_hand: "sed -i 's/Password no/Password yes/' /srv/t/replace",
    },
    Case {
        function: "file.symlink",
        id: "/srv/t/symlink",
        sls: "
/srv/t/symlink:
  file.symlink:
    - target: /etc/hostname
",
        before: "",
        proof: "test \"$(readlink /srv/t/symlink)\" = /etc/hostname",
        by_hand: "ln -sfn /etc/hosts /srv/t/symlink",
    },
    Case {
        function: "file.uncomment",
        id: "/srv/t/uncomment",
        sls: "
/srv/t/uncomment:
  file.uncomment:
    - regex: swap
",
        before: "printf 'root\\n#swap on\\n' >/srv/t/uncomment",
        proof: "printf 'root\\nswap on\\n' | cmp -s - /srv/t/uncomment",
        by_hand: "sed -i 's/^swap/#swap/' /srv/t/uncomment",
    },
    Case {
        function: "git.latest",
        id: "checkout",
        sls: "
checkout:
  git.latest:
    - name: /srv/git/app.git
    - target: /srv/t/checkout
    - rev: main
    - branch: main
    - force_reset: True
",
        before: "git init -q -b main /srv/git/tree && cd /srv/git/tree && git config user.name Robin && git config user.email r@example.org && echo 1 >file && git add file && git commit -qm First && echo 2 >file && git commit -qam Second && git clone -q --bare . ../app.git",
        proof: "test \"$(cat /srv/t/checkout/file)\" = 2",
        by_hand: "git -C /srv/t/checkout reset -q --hard HEAD~1",
    },
    Case {
        function: "group.present",
        id: "crew",
        sls: "
crew:
  group.present:
    - gid: 4242
",
        before: "",
        proof: "getent group crew | grep -q :4242:",
        by_hand: "groupmod -g 4777 crew",
    },
    Case {
        function: "group.absent",
        id: "oldcrew",
        sls: "
oldcrew:
  group.absent: []
",
        before: "groupadd oldcrew",
        proof: "! getent group oldcrew",
        by_hand: "groupadd oldcrew",
    },
    Case {
        function: "pkg.installed",
        id: "tree",
        sls: "
tree:
  pkg.installed: []
",
        before: "",
        proof: "dpkg -s tree | grep -q 'ok installed'",
        by_hand: "apt-get remove -qq tree",
    },
    Case {
        function: "pkg.installed at a version",
        id: "sandbox-sample",
        sls: "
sandbox-sample:
  pkg.installed:
    - version: '2.0'
",
        before: "apt-get update -qq; apt-get install -qq sandbox-sample=1.0",
        proof: "grep -qx 2.0 /usr/share/sandbox-sample/version",
        by_hand: "apt-get install -qq --allow-downgrades sandbox-sample=1.0",
    },
    Case {
        function: "pkg.removed",
        id: "sl",
        sls: "
sl:
  pkg.removed: []
",
        before: "apt-get update -qq; apt-get install -qq sl",
        proof: "! dpkg -s sl 2>/dev/null | grep -q 'ok installed'",
        by_hand: "apt-get install -qq sl",
    },
    Case {
        function: "pkg.purged",
        id: "htop",
        sls: "
htop:
  pkg.purged: []
",
        before: "apt-get update -qq; apt-get install -qq htop",
        proof: "! dpkg -s htop 2>/dev/null",
        by_hand: "apt-get install -qq htop",
    },
    Case {
        function: "pkgrepo.managed",
        id: "a repository",
        sls: "
a repository:
  pkgrepo.managed:
    - name: deb [trusted=yes] file:///srv/apt ./
    - file: /etc/apt/sources.list.d/sandbox.list
",
        before: "",
        proof: "grep -q '^deb .*file:///srv/apt' /etc/apt/sources.list.d/sandbox.list",
        by_hand: "rm /etc/apt/sources.list.d/sandbox.list",
    },
    Case {
        function: "pkgrepo.absent",
        id: "an old repository",
        sls: "
an old repository:
  pkgrepo.absent:
    - name: deb [trusted=yes] file:/srv apt/
    - file: /etc/apt/sources.list.d/old.list
",
        before: "echo 'deb [trusted=yes] file:/srv apt/' >/etc/apt/sources.list.d/old.list",
        proof: "! grep -rq 'file:/srv apt/' /etc/apt/sources.list.d",
        by_hand: "echo 'deb [trusted=yes] file:/srv apt/' >/etc/apt/sources.list.d/old.list",
    },
    Case {
        function: "process.absent",
        id: "kstate-e2e-worker",
        sls: "
kstate-e2e-worker:
  process.absent: []
",
        before: "cp /usr/bin/sleep /usr/local/bin/kstate-e2e-worker; setsid kstate-e2e-worker 3000 >/dev/null 2>&1 </dev/null &",
        proof: "! pgrep -x kstate-e2e-work",
        by_hand: "setsid kstate-e2e-worker 3000 >/dev/null 2>&1 </dev/null &",
    },
    Case {
        function: "process.current",
        id: "kstate-e2e-current",
        sls: "
kstate-e2e-current:
  process.current:
    - code: /srv/t/code
",
        before: "cp /usr/bin/sleep /usr/local/bin/kstate-e2e-current; setsid kstate-e2e-current 3000 >/dev/null 2>&1 </dev/null & sleep 0.2; date >/srv/t/code",
        proof: "! pgrep -x kstate-e2e-curr",
        by_hand: "setsid kstate-e2e-current 3000 >/dev/null 2>&1 </dev/null & sleep 0.2; date >/srv/t/code",
    },
    Case {
        function: "ssh_auth.present",
        id: "a key",
        sls: "
a key:
  ssh_auth.present:
    - name: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPtqTqrGyUd1T4Mxxhzv0Wmxi6UzC6YSs3tZCrcEyxmk james
    - user: keyed
    - options:
      - no-pty
",
        before: "useradd -m keyed",
        proof: "grep -q '^no-pty ssh-ed25519 AAAA.* james$' /home/keyed/.ssh/authorized_keys && test \"$(stat -c %U:%a /home/keyed/.ssh/authorized_keys)\" = keyed:600",
        by_hand: "sed -i s/no-pty/no-x11-forwarding/ /home/keyed/.ssh/authorized_keys",
    },
    Case {
        function: "ssh_auth.absent",
        id: "an old key",
        sls: "
an old key:
  ssh_auth.absent:
    - name: AAAAC3NzaC1lZDI1NTE5AAAAIPtqTqrGyUd1T4Mxxhzv0Wmxi6UzC6YSs3tZCrcEyxmk
    - user: unkeyed
",
        before: "useradd -m unkeyed; mkdir /home/unkeyed/.ssh; echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPtqTqrGyUd1T4Mxxhzv0Wmxi6UzC6YSs3tZCrcEyxmk james' >/home/unkeyed/.ssh/authorized_keys",
        proof: "! grep -q james /home/unkeyed/.ssh/authorized_keys",
        by_hand: "echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPtqTqrGyUd1T4Mxxhzv0Wmxi6UzC6YSs3tZCrcEyxmk james' >>/home/unkeyed/.ssh/authorized_keys",
    },
    Case {
        function: "ssh_auth.manage",
        id: "all keys",
        sls: "
all keys:
  ssh_auth.manage:
    - user: rekeyed
    - ssh_keys:
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPtqTqrGyUd1T4Mxxhzv0Wmxi6UzC6YSs3tZCrcEyxmk james
",
        before: "useradd -m rekeyed",
        proof: "grep -q james /home/rekeyed/.ssh/authorized_keys && ! grep -q stranger /home/rekeyed/.ssh/authorized_keys",
        by_hand: "echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBtqTqrGyUd1T4Mxxhzv0Wmxi6UzC6YSs3tZCrcEyxmk stranger' >>/home/rekeyed/.ssh/authorized_keys",
    },
    Case {
        function: "user.present",
        id: "kim",
        sls: "
kim:
  user.present:
    - home: /home/kim
    - shell: /bin/bash
    - fullname: Kim Fixture
    - groups:
      - mail
    - remove_groups: False
",
        before: "",
        proof: "getent passwd kim | grep -q ':Kim Fixture[,]*:/home/kim:/bin/bash$' && id -Gn kim | grep -qw mail && test \"$(stat -c %U /home/kim)\" = kim",
        by_hand: "usermod -s /bin/sh kim; gpasswd -d kim mail >/dev/null",
    },
    Case {
        function: "user.absent",
        id: "oldkim",
        sls: "
oldkim:
  user.absent:
    - purge: True
",
        before: "useradd -m oldkim",
        proof: "! getent passwd oldkim && ! test -e /home/oldkim",
        by_hand: "useradd -m oldkim",
    },
];

const FULL: &[Case] = &[
    Case {
        function: "apache_module.enabled",
        id: "headers",
        sls: "
headers:
  apache_module.enabled: []
",
        before: "a2dismod -q headers || :",
        proof: "test -e /etc/apache2/mods-enabled/headers.load",
        by_hand: "a2dismod -q headers",
    },
    Case {
        function: "apache_module.disabled",
        id: "status",
        sls: "
status:
  apache_module.disabled: []
",
        before: "a2enmod -q status",
        proof: "! test -e /etc/apache2/mods-enabled/status.load",
        by_hand: "a2enmod -q status",
    },
    Case {
        function: "pip.installed",
        id: "colorama",
        sls: "
colorama:
  pip.installed:
    - name: colorama==0.4.5
    - bin_env: /opt/pipped
",
        before: "python3 -m venv /opt/pipped",
        proof: "test \"$(/opt/pipped/bin/python -c 'import colorama; print(colorama.__version__)')\" = 0.4.5",
        by_hand: "/opt/pipped/bin/pip install -q colorama==0.4.6",
    },
    Case {
        function: "pkg.latest",
        id: "sandbox-sample",
        sls: "
sandbox-sample:
  pkg.latest: []
",
        before: "apt-get update -qq; apt-get install -qq sandbox-sample=1.0",
        proof: "grep -qx 2.0 /usr/share/sandbox-sample/version",
        by_hand: "apt-get install -qq --allow-downgrades sandbox-sample=1.0",
    },
    Case {
        function: "postgres_user.present",
        id: "reader",
        sls: "
reader:
  postgres_user.present:
    - password: not-much-of-a-secret
    - createdb: True
",
        before: "",
        proof: "test \"$(runuser -u postgres -- psql -XAtc \"SELECT rolcreatedb, rolcanlogin FROM pg_roles WHERE rolname = 'reader'\")\" = 't|t' && PGPASSWORD=not-much-of-a-secret psql -h localhost -U reader -XAtc 'SELECT 1' postgres",
        by_hand: "runuser -u postgres -- psql -qXc \"ALTER ROLE reader PASSWORD 'other'\"",
    },
    Case {
        function: "postgres_user.absent",
        id: "gone",
        sls: "
gone:
  postgres_user.absent: []
",
        before: "runuser -u postgres -- psql -qXc 'CREATE ROLE gone'",
        proof: "test -z \"$(runuser -u postgres -- psql -XAtc \"SELECT 1 FROM pg_roles WHERE rolname = 'gone'\")\"",
        by_hand: "runuser -u postgres -- psql -qXc 'CREATE ROLE gone'",
    },
    Case {
        function: "postgres_database.present",
        id: "library",
        sls: "
librarian:
  postgres_user.present: []
library:
  postgres_database.present:
    - owner: librarian
    - encoding: UTF8
    - template: template0
    - require:
      - postgres_user: librarian
",
        before: "",
        proof: "test \"$(runuser -u postgres -- psql -XAtc \"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'library'\")\" = librarian",
        by_hand: "runuser -u postgres -- psql -qXc 'ALTER DATABASE library OWNER TO postgres'",
    },
    Case {
        function: "service.running by systemd",
        id: "redis-server",
        sls: "
redis-server:
  service.running:
    - enable: True
",
        before: "systemctl -q disable --now redis-server",
        proof: "systemctl -q is-active redis-server && systemctl -q is-enabled redis-server",
        by_hand: "systemctl -q stop redis-server",
    },
    Case {
        function: "service.running by a script in init.d",
        id: "uwsgi",
        sls: "
uwsgi:
  service.running: []
",
        before: "printf '[uwsgi]\\nplugins = python3\\nmaster = true\\nprocesses = 1\\nsocket = /run/uwsgi/app/t/socket\\n' >/etc/uwsgi/apps-enabled/t.ini; service uwsgi restart; pkill -KILL uwsgi; sleep 0.2",
        proof: "pgrep -x uwsgi || pgrep uwsgi",
        by_hand: "pkill -KILL uwsgi; sleep 0.2; systemctl is-active uwsgi >/srv/t/uwsgi-is || :",
    },
    Case {
        function: "service.dead",
        id: "kt-dead",
        sls: "
kt-dead:
  service.dead:
    - enable: False
",
        before: "systemctl -q enable --now kt-dead",
        proof: "! systemctl -q is-active kt-dead && ! systemctl -q is-enabled kt-dead",
        by_hand: "systemctl -q start kt-dead",
    },
    Case {
        function: "service.enabled",
        id: "kt-enabled",
        sls: "
kt-enabled:
  service.enabled: []
",
        before: "",
        proof: "systemctl -q is-enabled kt-enabled && ! systemctl -q is-active kt-enabled",
        by_hand: "systemctl -q disable kt-enabled",
    },
    Case {
        function: "service.disabled",
        id: "kt-disabled",
        sls: "
kt-disabled:
  service.disabled: []
",
        before: "systemctl -q enable kt-disabled",
        proof: "! systemctl -q is-enabled kt-disabled",
        by_hand: "systemctl -q enable kt-disabled",
    },
    Case {
        function: "service.masked",
        id: "exim4",
        sls: "
exim4:
  service.masked: []
",
        before: "printf '[Service]\\nExecStart=/usr/bin/sleep infinity\\n' >/usr/lib/systemd/system/exim4.service; systemctl daemon-reload",
        proof: "test \"$(systemctl is-enabled exim4)\" = masked",
        by_hand: "systemctl -q unmask exim4",
    },
    Case {
        function: "service.unmasked",
        id: "kt-unmasked",
        sls: "
kt-unmasked:
  service.unmasked: []
",
        before: "printf '[Service]\\nExecStart=/usr/bin/sleep infinity\\n' >/usr/lib/systemd/system/kt-unmasked.service; systemctl daemon-reload; systemctl -q mask kt-unmasked",
        proof: "! systemctl is-enabled kt-unmasked | grep -qx masked",
        by_hand: "systemctl -q mask kt-unmasked",
    },
    Case {
        function: "virtualenv.managed",
        id: "/srv/t/ve",
        sls: "
/srv/t/ve:
  virtualenv.managed:
    - requirements: /srv/t/requirements.txt
    - user: www-data
",
        before: "chown www-data /srv/t; printf 'six==1.16.0\\nitsdangerous>=2.1\\n' >/srv/t/requirements.txt",
        proof: "/srv/t/ve/bin/python -c 'import six, itsdangerous; assert six.__version__ == \"1.16.0\"' && test \"$(stat -c %U /srv/t/ve/bin)\" = www-data",
        by_hand: "runuser -u www-data -- /srv/t/ve/bin/pip install -q six==1.17.0",
    },
];

/// Functions whose whole effect is seen elsewhere: they react, do nothing, are for one run only or around others, or need an
/// application.
const ELSEWHERE: &[&str] = &[
    "alembic.upgraded",
    "cmd.wait",
    "cron.suspended",
    "django.migrated",
    "module.run",
    "module.wait",
    "module.watch",
    "process.stopped",
    "service.current",
    "service.stopped",
    "test.check_pillar",
    "test.configurable_test_state",
    "test.fail_with_changes",
    "test.fail_without_changes",
    "test.nop",
    "test.show_notification",
    "test.succeed_with_changes",
    "test.succeed_without_changes",
];

impl Case {
    fn name(&self) -> &'static str {
        self.function.split(' ').next().unwrap_or_default()
    }
}

fn exists(function: &str) -> bool {
    kstate_modules::FUNCTIONS.iter().any(|known| known.name == function)
}

#[test]
fn every_function_has_a_case() {
    let cases: BTreeSet<&str> =
        PRISTINE.iter().chain(FULL).map(Case::name).chain(ELSEWHERE.iter().copied()).collect();
    // They are what a part of Apache or of PostgreSQL is to its siblings.
    let like_a_sibling = |name: &str| {
        ["apache_conf.", "apache_site.", "postgres_group.", "postgres_database.absent", "postgres_schema."]
            .iter()
            .any(|sibling| name.starts_with(sibling))
    };
    let lacking: Vec<&str> = kstate_modules::FUNCTIONS
        .iter()
        .map(|function| function.name)
        .filter(|name| !cases.contains(name) && !like_a_sibling(name))
        .collect();
    assert_eq!(lacking, Vec::<&str>::new());
}

/// One host, and the cases on it.
struct Bench {
    host: Host,
    env: TestEnv,
    cases: Vec<&'static Case>,
}

impl Bench {
    fn of(host: Host, cases: &'static [Case]) -> Self {
        let cases: Vec<&Case> = cases.iter().filter(|case| exists(case.name())).collect();
        let sls: String = cases.iter().map(|case| case.sls).collect();
        let env = TestEnv::of(&host, &sls);
        env.write("states/greeting.txt", "{{ greeting }} from {{ grains.id }}\n");
        env.write("states/crontab", "5 5 * * * /usr/bin/true --whole\n");
        env.write("states/folder/one", "one\n");
        env.write("states/folder/below/two", "two\n");
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        std::fs::write(env.path("states/bytes"), &bytes).unwrap();
        host.sh(
            "mkdir -p /srv/t
             python3 -c 'import sys; sys.stdout.buffer.write((bytes(range(256)) * 400)[:100000])' | sha256sum >/srv/bytes.sum
             for unit in kt-dead kt-enabled kt-disabled; do
                 printf '[Service]\\nExecStart=/usr/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' \
                     >/etc/systemd/system/$unit.service
             done
             systemctl daemon-reload",
        );
        let bench = Bench { host, env, cases };
        bench.on_the_host(|case| case.before);
        bench
    }

    /// Runs a script of each case, all of which have to end well.
    #[track_caller]
    fn on_the_host(&self, script: impl Fn(&Case) -> &'static str) {
        let failed = self.failing(script);
        assert!(failed.is_empty(), "on the host:\n{failed:#?}");
    }

    /// Runs a script of each case, and returns what those that fail have said.
    fn failing(&self, script: impl Fn(&Case) -> &'static str) -> BTreeMap<&'static str, String> {
        let mut all = "export DEBIAN_FRONTEND=noninteractive\n".to_owned();
        for (place, case) in self.cases.iter().enumerate() {
            let script = script(case);
            if !script.is_empty() {
                write!(all, "(\n{script}\n) >/run/said 2>&1 </dev/null || echo \"{place} $(tr '\\n' ' ' </run/said)\"\n")
                    .unwrap();
            }
        }
        let said = self.host.sh(&all);
        said.lines()
            .filter_map(|line| {
                let (place, said) = line.split_once(' ').unwrap_or((line, ""));
                let case = self.cases.get(place.parse::<usize>().ok()?)?;
                Some((case.function, said.to_owned()))
            })
            .collect()
    }

    /// What the cases' own states should have become, against what they have.
    #[track_caller]
    fn all_are(&self, output: &Output, wanted: impl Fn(usize) -> &'static str) {
        let outcomes = output.outcomes();
        let mut wrong = String::new();
        for (place, case) in self.cases.iter().enumerate() {
            let got = outcomes.get(case.id).map_or("missing", String::as_str);
            if got != wanted(place) {
                let state = output.state(case.id);
                writeln!(
                    wrong,
                    "{}: {got}, not {}: {} {}",
                    case.function,
                    wanted(place),
                    state["reason"],
                    state["changes"]
                )
                .unwrap();
            }
        }
        let errors = &output.report()["errors"];
        assert!(wrong.is_empty(), "{wrong}\n{errors}\n$ {}\n{}", output.command, output.stderr);
    }

    fn tell_the_story(&self) {
        let damaged = self.failing(|case| case.proof);
        for case in &self.cases {
            assert!(
                damaged.contains_key(case.function),
                "{} is as declared before it was made",
                case.function
            );
        }
        let output = self.env.diff();
        self.all_are(&output, |_| "drift");
        output.exits(2);

        let output = self.env.apply();
        self.all_are(&output, |_| "changed");
        output.exits(0);
        self.on_the_host(|case| case.proof);

        let output = self.env.apply();
        self.all_are(&output, |_| "unchanged");
        assert_eq!(output.report()["summary"]["changed"], 0, "{output}");
        self.env.diff().exits(0);

        // Half of them at a time: what is whole must not be shown.
        for half in [0, 1] {
            let is_hit = |place: usize| place % 2 == half;
            let place = |case: &Case| self.cases.iter().position(|other| other.id == case.id).unwrap();
            self.on_the_host(|case| if is_hit(place(case)) { case.by_hand } else { "" });
            let damaged = self.failing(|case| case.proof);
            for case in &self.cases {
                assert_eq!(
                    damaged.contains_key(case.function),
                    is_hit(place(case)),
                    "the damage of {}",
                    case.function
                );
            }
            let output = self.env.diff();
            self.all_are(&output, |place| if is_hit(place) { "drift" } else { "in_sync" });
            output.exits(2);
            for case in self.cases.iter().filter(|case| is_hit(place(case))) {
                let changes = output.state(case.id)["changes"].as_array().unwrap().len();
                assert!(changes > 0, "{} differs, but nothing is shown: {output}", case.function);
            }
            let output = self.env.apply();
            self.all_are(&output, |place| if is_hit(place) { "changed" } else { "unchanged" });
            output.exits(0);
            self.on_the_host(|case| case.proof);
            let output = self.env.diff();
            self.all_are(&output, |_| "in_sync");
            output.exits(0);
        }
    }
}

#[test]
#[ignore = "needs a sandbox host"]
fn states_of_a_bare_server_are_made_kept_seen_and_repaired() {
    Bench::of(Host::pristine("functions"), PRISTINE).tell_the_story();
}

#[test]
#[ignore = "needs a sandbox host"]
fn states_of_services_are_made_kept_seen_and_repaired() {
    Bench::of(Host::full("services"), FULL).tell_the_story();
}
