# A Django application behind Apache and uWSGI. The pillar says which: `name`, `user`, `git`, `django`, `apache`, `uwsgi`.
{% from 'lib.sls' import createuser, apache, uwsgi %}

include:
  - git
  - apache
  - uwsgi
  - locale

{% set name = pillar.name %}
{% set user = pillar.user %}
{% set userdir = '/home/' ~ user ~ '/' %}
{% set djangodir = userdir ~ name ~ '/' %}
{% set checkout = pillar.git.url ~ djangodir %}
{% set manage = '. .ve/bin/activate; DJANGO_SETTINGS_MODULE=' ~ pillar.django.app ~ '.settings python manage.py' %}

{{ createuser(user) }}

django-deps:
  apache_module.enabled:
    - names:
      - proxy
      - proxy_http
      - proxy_uwsgi
    - require:
      - pkg: apache2
    - watch_in:
      - service: apache2
  pkg.installed:
    - pkgs:
      - python3-venv
      - virtualenv
      {% if pillar.django.compilemessages %}
      - gettext
      {% endif %}

{{ apache(name ~ '.conf',
    source='django.conf.include',
    servername=pillar.apache.servername,
    serveraliases=pillar.apache.serveraliases,
    https=pillar.apache.https,
    context={'djangodir': djangodir}) }}

{{ uwsgi(name ~ '.ini', source='django.ini', context={'djangodir': djangodir}) }}

# Apache reads static and uploaded files, so it has to get there.
{{ userdir }}:
  file.directory:
    - mode: '0755'
    - require:
      - user: {{ user }}_user_exists

{{ checkout }}:
  git.latest:
    - name: {{ pillar.git.url }}
    - rev: {{ pillar.git.branch }}
    - target: {{ djangodir }}
    - user: {{ user }}
    - force_fetch: True
    - force_reset: True
    - require:
      - pkg: git
      - user: {{ user }}_user_exists
    - watch_in:
      - service: uwsgi

{{ djangodir }}.ve/:
  virtualenv.managed:
    - python: /usr/bin/python3
    - user: {{ user }}
    - requirements: {{ djangodir }}requirements.txt
    - require:
      - pkg: django-deps
      - git: {{ checkout }}
      - file: set_lc_all # some packages have text beyond ASCII in their setup
    - watch_in:
      - service: uwsgi

migrate:
  django.migrated:
    - name: {{ djangodir }}
    - user: {{ user }}
    - bin_env: {{ djangodir }}.ve/
    - settings: {{ pillar.django.app }}.settings
    - lock_timeout: {{ pillar.get('deploy', {}).get('lock_timeout', 10) }}
    - require:
      - virtualenv: {{ djangodir }}.ve/

{% for command in (['compilemessages'] if pillar.django.compilemessages else []) + ['collectstatic --noinput'] %}
{{ command.split()[0] }}:
  cmd.run:
    - name: {{ manage }} {{ command }}
    - runas: {{ user }}
    - cwd: {{ djangodir }}
    - require:
      - virtualenv: {{ djangodir }}.ve/
    - onchanges:
      - git: {{ checkout }}
{% endfor %}

# Uploads and static files are of the application, whoever ran a command here by hand.
{% for name in ['media', 'static'] %}
{{ djangodir }}{{ name }}:
  file.directory:
    - user: {{ user }}
    - dir_mode: '0755'
    - file_mode: '0644'
    - recurse:
      - user
      - mode
    - require:
      - cmd: collectstatic
{% endfor %}
