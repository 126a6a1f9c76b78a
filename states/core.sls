# What every server has.
{% from 'lib.sls' import authorized_keys %}

include:
  - git
  - locale

useful commands:
  pkg.installed:
    - pkgs:
      - htop
      - man-db
      - psmisc # killall
      - tmux
      - vim

{{ authorized_keys('root', 'root', 'root') }}

MAILTO_root:
  cron.env_present:
    - name: MAILTO
    - value: {{ pillar.mailto }}
    - user: root

## Security

# Keys only. The first line that is given counts, and the distributions ship it as a comment.
/etc/ssh/sshd_config:
  file.replace:
    - pattern: ^[ \t]*#?[ \t]*PasswordAuthentication[ \t].*$
    - repl: PasswordAuthentication no
    - append_if_not_found: True

ssh:
  service.running:
    - name: ssh
    - enable: True
    - reload: True
    - watch:
      - file: /etc/ssh/sshd_config

fail2ban:
  pkg.installed:
    - pkgs:
      - fail2ban
      - mailutils
      - python3-systemd

# Without a syslog daemon there is no log file to watch, and fail2ban would not even start.
/etc/fail2ban/jail.d/sshd.local:
  file.managed:
    - source: salt://core/fail2ban.local
    - require:
      - pkg: fail2ban

f2b-startup:
  service.running:
    - name: fail2ban
    - enable: True
    - reload: True
    - watch:
      - file: /etc/fail2ban/jail.d/sshd.local

# Nobody here uses NFS.
purge rpcbind:
  pkg.purged:
    - name: rpcbind

unattended-upgrades:
  pkg.installed:
    - pkgs:
      - unattended-upgrades
      {% if grains.os == 'Ubuntu' %}
      - update-notifier-common # says whether a restart is due; Debian's unattended-upgrades does so itself
      {% endif %}

/etc/apt/apt.conf.d/50unattended-upgrades:
  file.managed:
    - source: salt://core/50unattended-upgrades
    - template: jinja
    - require:
      - pkg: unattended-upgrades

/etc/apt/apt.conf.d/10periodic:
  file.managed:
    - source: salt://core/10periodic
    - require:
      - pkg: unattended-upgrades

## Swap

create_swapfile:
  cmd.run:
    - name: |
        set -e
        umask 077
        dd if=/dev/zero of=/swapfile.new bs=10M count=100
        mkswap /swapfile.new
        mv /swapfile.new /swapfile
    - creates: /swapfile

swap at boot:
  file.append:
    - name: /etc/fstab
    - text: /swapfile none swap sw 0 0
    - require:
      - cmd: create_swapfile

use_swapfile:
  cmd.run:
    - name: swapon /swapfile
    - unless: swapon --show=NAME --noheadings | grep -qx /swapfile
    - require:
      - cmd: create_swapfile
