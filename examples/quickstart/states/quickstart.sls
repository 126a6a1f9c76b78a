# A little of everything that needs no root: files, a checkout, a command, a process, a crontab.
{% set quickstart = pillar.quickstart %}
{% set dir = quickstart.dir %}

{{ dir }}:
  file.directory:
    - mode: '0755'
    - makedirs: True

greeting:
  file.managed:
    - name: {{ dir }}/greeting.txt
    - source: salt://greeting.txt
    - template: jinja
    - mode: '0644'
    - context:
        greeting: {{ quickstart.greeting|json }}
    - require:
      - file: {{ dir }}

settings:
  file.append:
    - name: {{ dir }}/settings.ini
    - makedirs: True
    - text:
      - '[quickstart]'
      - colour = blue

{{ dir }}/current.txt:
  file.symlink:
    - target: {{ dir }}/greeting.txt
    - require:
      - file: greeting

checkout:
  git.latest:
    - name: {{ quickstart.repository }}
    - target: {{ dir }}/checkout
    - branch: master
    - rev: master
    - force_reset: True
    - require:
      - file: {{ dir }}

# Without the guard it would run every time, and `kstate diff` would say so.
history:
  cmd.run:
    - name: git -C checkout log --format=%s > history.txt
    - unless: git -C checkout log --format=%s | cmp -s - history.txt
    - cwd: {{ dir }}
    - require:
      - git: checkout

no old workers:
  process.absent:
    - name: kstate-quickstart-worker

{% if quickstart.crontab %}
nightly:
  cron.present:
    - name: ': {{ dir }}/checkout'
    - identifier: kstate-quickstart
    - user: {{ quickstart.crontab }}
    - minute: 15
    - hour: 3
{% endif %}
