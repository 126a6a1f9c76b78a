# Kingfisher Process: takes in what the scrapers collect, checks and transforms it; and Kingfisher Views beside it.
#
# On a change, uWSGI is reloaded with the new code and then the database is migrated, so new code has to get along with
# the old schema for a moment. Where it is the old code that gets along with the new schema, the pillar says `deploy:reload:
# after_migration`. Workers are away from before the code changes until the migration has ended.
{% from 'lib.sls' import createuser, apache, uwsgi %}

include:
  - git
  - apache
  - uwsgi
  - postgres
  - redis

{% set user = 'ocdskfp' %}
{% set userdir = '/home/' ~ user %}
{% set processdir = userdir ~ '/ocdskingfisherprocess/' %}
{% set viewsdir = userdir ~ '/ocdskingfisherviews/' %}
{% set database = 'ocdskingfisherprocess' %}

{% set process = pillar.ocdskingfisherprocess %}
{% set views = pillar.ocdskingfisherviews %}
{% set lock_timeout = pillar.get('deploy', {}).get('lock_timeout', 10) %}
{% set reload = pillar.get('deploy', {}).get('reload', 'before_migration') %}
{% set hold_if_changed = pillar.get('deploy', {}).get('hold_if_changed', ['requirements.txt']) %}
{% if reload not in ['before_migration', 'after_migration'] %}
{{ raise('deploy:reload is before_migration or after_migration, not ' ~ reload) }}
{% endif %}

ocdskingfisherprocess-prerequisites:
  apache_module.enabled:
    - names:
      - proxy
      - proxy_uwsgi
    - require:
      - pkg: apache2
    - watch_in:
      - service: apache2
  pkg.installed:
    - pkgs:
      - cron
      - libpq-dev
      - logrotate
      - python3-pip
      - python3-venv
      - python3-virtualenv
      - rsyslog
      - sqlite3
      - strace
      - tmux
      - virtualenv

{{ createuser(user, keys=['kingfisher']) }}

## Code and packages

{% for url, dir in [(process.git.url, processdir), (views.git.url, viewsdir)] %}
{{ url }}{{ dir }}:
  git.latest:
    - name: {{ url }}
    - user: {{ user }}
    - branch: master
    - rev: master
    - target: {{ dir }}
    - force_fetch: True
    - force_reset: True
    - require:
      - pkg: git
      - user: {{ user }}_user_exists
    {% if dir == processdir %}
    - hold_if_changed: {{ hold_if_changed|json }}
    - watch_in:
      - service: uwsgi
    {% endif %}

{{ dir }}.ve/:
  virtualenv.managed:
    - python: /usr/bin/python3
    - user: {{ user }}
    - system_site_packages: False
    - cwd: {{ dir }}
    - requirements: {{ dir }}requirements.txt
    - require:
      - pkg: ocdskingfisherprocess-prerequisites
      - git: {{ url }}{{ dir }}
    {% if dir == processdir %}
    - watch_in:
      - service: uwsgi
    {% endif %}
{% endfor %}

# Tools that analysts use on the command line. Distributions keep pip out of their own Python (PEP 668), hence a virtual
# environment; where it is, its commands are where `pip install --user` used to put them.
{{ userdir }}/.local/:
  virtualenv.managed:
    - python: /usr/bin/python3
    - user: {{ user }}
    - system_site_packages: False
    - require:
      - pkg: ocdskingfisherprocess-prerequisites
      - user: {{ user }}_user_exists

ocdskingfisherprocess-pipinstall:
  pip.installed:
    - pkgs: {{ process.tools|json }}
    - user: {{ user }}
    - bin_env: {{ userdir }}/.local/
    - require:
      - virtualenv: {{ userdir }}/.local/

ocdskingfisherprocess-pip-path:
  file.append:
    - name: {{ userdir }}/.bashrc
    - text: export PATH="{{ userdir }}/.local/bin/:$PATH"
    - require:
      - user: {{ user }}_user_exists

## Configuration

{{ userdir }}/.pgpass:
  file.managed:
    - source: salt://ocdskingfisherprocess/pgpass
    - template: jinja
    - user: {{ user }}
    - group: {{ user }}
    - mode: '0400'
    - show_changes: False
    - require:
      - user: {{ user }}_user_exists
    - watch_in:
      - service: uwsgi

{{ userdir }}/.config/ocdskingfisher-process/config.ini:
  file.managed:
    - source: salt://ocdskingfisherprocess/config.ini
    - template: jinja
    - user: {{ user }}
    - group: {{ user }}
    - mode: '0640'
    - makedirs: True
    - require:
      - user: {{ user }}_user_exists
    - watch_in:
      - service: uwsgi

{{ userdir }}/.config/ocdskingfisher-process/logging.json:
  file.managed:
    - source: salt://ocdskingfisherprocess/logging.json
    - user: {{ user }}
    - group: {{ user }}
    - makedirs: True
    - require:
      - user: {{ user }}_user_exists
    - watch_in:
      - service: uwsgi

{{ userdir }}/.config/ocdskingfisher-views/config.ini:
  file.managed:
    - source: salt://ocdskingfisherprocess/views-config.ini
    - user: {{ user }}
    - group: {{ user }}
    - makedirs: True
    - require:
      - user: {{ user }}_user_exists

# Beside the code, but not of it: the repository leaves the choice of the server to its users.
{{ processdir }}wsgi.py:
  file.managed:
    - source: salt://ocdskingfisherprocess/wsgi.py
    - user: {{ user }}
    - group: {{ user }}
    - require:
      - git: {{ process.git.url }}{{ processdir }}
    - watch_in:
      - service: uwsgi

{{ apache('ocdskingfisherprocess.conf',
    source='ocdskingfisherprocess.conf',
    servername=process.web.host,
    context={'port': 5001, 'documentroot': processdir}) }}

{{ uwsgi('ocdskingfisherprocess.ini',
    source='ocdskingfisherprocess.ini',
    context={'port': 5001, 'dir': processdir, 'user': user, 'home': userdir}) }}

## Logs

/etc/rsyslog.d/90-kingfisher.conf:
  file.managed:
    - source: salt://ocdskingfisherprocess/rsyslog.conf
    - require:
      - pkg: ocdskingfisherprocess-prerequisites

/etc/logrotate.d/kingfisher.conf:
  file.managed:
    - source: salt://ocdskingfisherprocess/logrotate.conf
    - require:
      - pkg: ocdskingfisherprocess-prerequisites

restart-syslog:
  service.running:
    - name: rsyslog
    - enable: True
    - watch:
      - file: /etc/rsyslog.d/90-kingfisher.conf

## Database: roles, schemas, migrations, privileges

{% for id, role in [
    ('kfp_postgres_user_create', user),
    ('kfp_postgres_readonlyuser_create', 'ocdskfpreadonly'),
    ('kfp_postgres_guest_create', 'ocdskfpguest')] %}
{{ id }}:
  postgres_user.present:
    - name: {{ role }}
    - password: {{ process.postgres[role].password|json }}
    - require:
      - service: postgresql
{% endfor %}

kfp_postgres_database_create:
  postgres_database.present:
    - name: {{ database }}
    - owner: {{ user }}
    - encoding: UTF8
    - template: template0
    - require:
      - postgres_user: kfp_postgres_user_create

{% set readers = ['ocdskfpreadonly', 'ocdskfpguest'] %}
{% set schemas = ['views', 'views_test', 'view_info', 'view_meta'] %}
{% set all_schemas = ['public'] + schemas %}
{% set default_schemas = ['public', 'views', 'views_test'] %}

kfp_postgres_schema_creation:
  cmd.run:
    - name: |
        psql -Xq -v ON_ERROR_STOP=1 {{ database }} <<'SQL'
        {% for schema in schemas %}CREATE SCHEMA IF NOT EXISTS {{ schema }}; {% endfor %}
        SQL
    - unless: |
        psql -XAt {{ database }} <<'SQL' | grep -qx {{ schemas|length }}
        SELECT count(*) FROM pg_namespace WHERE nspname IN ('{{ schemas|join("', '") }}')
        SQL
    - runas: postgres
    - require:
      - postgres_database: kfp_postgres_database_create

# Migrations need what they import, where to connect and the password. They wait for a lock for less time than uWSGI
# gives a request, and then let the application go on for a while.
createdatabase-{{ processdir }}:
  alembic.upgraded:
    - user: {{ user }}
    - cwd: {{ processdir }}
    - bin_env: {{ processdir }}.ve/
    - config: mainalembic.ini
    - command: python ocdskingfisher-process-cli upgrade-database
    - lock_timeout: {{ lock_timeout }}
    - require:
      - virtualenv: {{ processdir }}.ve/
      - file: {{ userdir }}/.pgpass
      - file: {{ userdir }}/.config/ocdskingfisher-process/config.ini
      - file: {{ userdir }}/.config/ocdskingfisher-process/logging.json
      - postgres_database: kfp_postgres_database_create
      {% if reload == 'before_migration' %}
      - service: uwsgi
      {% else %}
    - require_in:
      - service: uwsgi
      {% endif %}

# Workers of the old code are gone before the new code comes, so that none of them runs it by halves or gets in the way of
# the migration. Afterwards one of each kind runs at once; cron starts the others in their time.
{{ user }}-workers-paused:
  cron.suspended:
    - user: {{ user }}
    - match: ocdskingfisher-process-cli
    - around: &deployment
      - git: {{ process.git.url }}{{ processdir }}
      - virtualenv: {{ processdir }}.ve/
      - alembic: createdatabase-{{ processdir }}

{{ user }}-workers-stopped:
  process.stopped:
    - pattern: ' ocdskingfisher-process-cli '
    - user: {{ user }}
    - around: *deployment
    - require:
      - cron: {{ user }}-workers-paused

# Nothing goes on with code or configuration of before, whoever has changed them.
{% set code = [
    processdir,
    processdir ~ '.ve/',
    processdir ~ 'wsgi.py',
    userdir ~ '/.config/ocdskingfisher-process/config.ini',
    userdir ~ '/.config/ocdskingfisher-process/logging.json'] %}

{{ user }}-workers-current:
  process.current:
    - pattern: ' ocdskingfisher-process-cli '
    - user: {{ user }}
    - code: {{ code|json }}
    - require:
      - alembic: createdatabase-{{ processdir }}
      - file: {{ processdir }}wsgi.py

uwsgi-current:
  service.current:
    - service: uwsgi
    - code: {{ code|json }}
    - require:
      - service: uwsgi
      - alembic: createdatabase-{{ processdir }}
      - file: {{ processdir }}wsgi.py

createdatabase-{{ viewsdir }}:
  alembic.upgraded:
    - user: {{ user }}
    - cwd: {{ viewsdir }}
    - bin_env: {{ viewsdir }}.ve/
    - config: ocdskingfisherviews/alembic.ini
    - command: python ocdskingfisher-views-cli upgrade-database
    - lock_timeout: {{ lock_timeout }}
    - require:
      - virtualenv: {{ viewsdir }}.ve/
      - file: {{ userdir }}/.pgpass
      - file: {{ userdir }}/.config/ocdskingfisher-views/config.ini
      - cmd: kfp_postgres_readonlyuser_setup_schemas
      # Views are made of the other application's tables.
      - alembic: createdatabase-{{ processdir }}

# Nobody but the application makes anything here, and the readers may look into it.
kfp_postgres_readonlyuser_setup_schemas:
  cmd.run:
    - name: |
        psql -Xq -v ON_ERROR_STOP=1 {{ database }} <<'SQL'
        REVOKE ALL ON SCHEMA {{ all_schemas|join(', ') }} FROM public;
        GRANT ALL ON SCHEMA {{ all_schemas|join(', ') }} TO {{ user }};
        GRANT USAGE ON SCHEMA {{ all_schemas|join(', ') }} TO {{ readers|join(', ') }};
        SQL
    - unless: |
        psql -XAt {{ database }} <<'SQL' | grep -qx t
        SELECT bool_and(
            NOT has_schema_privilege('public', oid, 'CREATE') AND NOT has_schema_privilege('public', oid, 'USAGE')
            AND has_schema_privilege('{{ user }}', oid, 'CREATE') AND has_schema_privilege('{{ user }}', oid, 'USAGE')
            AND {% for reader in readers %}has_schema_privilege('{{ reader }}', oid, 'USAGE') AND {% endfor %}true
        ) FROM pg_namespace WHERE nspname IN ('{{ all_schemas|join("', '") }}')
        SQL
    - runas: postgres
    - require:
      - cmd: kfp_postgres_schema_creation
      - postgres_user: kfp_postgres_readonlyuser_create
      - postgres_user: kfp_postgres_guest_create

# What the application is yet to make, readers may read.
kfp_postgres_readonlyuser_setup_as_user:
  cmd.run:
    - name: |
        psql -Xq -v ON_ERROR_STOP=1 {{ database }} <<'SQL'
        ALTER DEFAULT PRIVILEGES IN SCHEMA {{ default_schemas|join(', ') }}
        GRANT SELECT ON TABLES TO {{ readers|join(', ') }};
        SQL
    - unless: |
        psql -XAt {{ database }} <<'SQL' | grep -qx {{ default_schemas|length * readers|length }}
        SELECT count(*)
        FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace, aclexplode(d.defaclacl) a
        WHERE n.nspname IN ('{{ default_schemas|join("', '") }}')
        AND d.defaclrole = '{{ user }}'::regrole AND d.defaclobjtype = 'r'
        AND a.grantee::regrole::text IN ('{{ readers|join("', '") }}') AND a.privilege_type = 'SELECT'
        SQL
    - runas: {{ user }}
    - require:
      - cmd: kfp_postgres_readonlyuser_setup_schemas

# What it has made already, in schemas without such a default too.
kfp_postgres_readonlyuser_setup_as_postgres:
  cmd.run:
    - name: |
        psql -Xq -v ON_ERROR_STOP=1 {{ database }} <<'SQL'
        GRANT SELECT ON ALL TABLES IN SCHEMA {{ all_schemas|join(', ') }} TO {{ readers|join(', ') }};
        SQL
    - unless: |
        psql -XAt {{ database }} <<'SQL' | grep -qx 0
        SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_roles r
        WHERE n.nspname IN ('{{ all_schemas|join("', '") }}') AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
        AND r.rolname IN ('{{ readers|join("', '") }}') AND NOT has_table_privilege(r.oid, c.oid, 'SELECT')
        SQL
    - runas: postgres
    - require:
      - alembic: createdatabase-{{ processdir }}
      - alembic: createdatabase-{{ viewsdir }}

# Who else may read is kept in a table of Kingfisher Views, and its own command grants it.
correctuserpermissions-{{ viewsdir }}:
  cmd.run:
    - name: . .ve/bin/activate; python ocdskingfisher-views-cli correct-user-permissions
    - unless: |
        psql -XAt {{ database }} <<'SQL' | grep -qx 0
        SELECT count(*) FROM view_meta.read_only_user u, pg_namespace n LEFT JOIN pg_class c
        ON c.relnamespace = n.oid AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
        WHERE (n.nspname = 'public' OR n.nspname LIKE 'view\_data\_%') AND NOT (
            has_schema_privilege(u.username, n.oid, 'USAGE')
            AND (c.oid IS NULL OR has_table_privilege(u.username, c.oid, 'SELECT')))
        SQL
    - runas: {{ user }}
    - cwd: {{ viewsdir }}
    - require:
      - alembic: createdatabase-{{ viewsdir }}
      - cmd: kfp_postgres_readonlyuser_setup_as_postgres

## Jobs

{% set process_cli = 'cd ' ~ processdir ~ '; . .ve/bin/activate; python ocdskingfisher-process-cli' %}

# Eight workers: each runs for an hour, and one starts every few minutes.
{{ process_cli }} process-redis-queue --runforseconds 3540:
  cron.present:
    - identifier: OCDS_KINGFISHER_PROCESS_REDIS_QUEUE
    - user: {{ user }}
    - minute: 0,5,15,20,30,35,45,50

{{ process_cli }} process-redis-queue-collection-store-finished --runforseconds 3540:
  cron.present:
    - identifier: OCDS_KINGFISHER_PROCESS_REDIS_QUEUE_COLLECTION_STORE_FINISHED
    - user: {{ user }}
    - minute: 0

# The workers check what comes in; this finds what they missed, once a night for eight hours.
{{ process_cli }} check-collections --runforseconds 28800:
  cron.present:
    - identifier: OCDS_KINGFISHER_SCRAPE_CHECK_COLLECTIONS
    - user: {{ user }}
    - minute: 0
    - hour: 1

# A run takes almost two hours, and may take three.
{{ process_cli }} transform-collections --runforseconds 10800:
  cron.present:
    - identifier: OCDS_KINGFISHER_SCRAPE_TRANSFORM_COLLECTIONS
    - user: {{ user }}
    - minute: 30
    - hour: 0,3,6,9,12,15,18,21

{{ process_cli }} delete-collections:
  cron.present:
    - identifier: OCDS_KINGFISHER_SCRAPE_DELETE_COLLECTIONS
    - user: {{ user }}
    - minute: 0
    - hour: 2
    - dayweek: 5

# Views are refreshed by hand for now.
cd {{ viewsdir }}; . .ve/bin/activate; python ocdskingfisher-views-cli refresh-views --logfile=~/refresh-view.log; python ocdskingfisher-views-cli field-counts --threads=5 --logfile=~/fields-counts.log:
  cron.absent:
    - identifier: OCDS_KINGFISHER_VIEWS_RUN
    - user: {{ user }}
