# PostgreSQL as the distribution ships it, unless the pillar has `postgres:version` and `postgres:repository`.
{% set shipped = {'bookworm': 15, 'trixie': 17, 'jammy': 14, 'noble': 16} %}
{% set version = salt['pillar.get']('postgres:version') or shipped[grains.oscodename] %}
{% set repository = salt['pillar.get']('postgres:repository', {}) %}

include:
  - locale

{% if repository %}
postgresql-repository:
  pkgrepo.managed:
    - name: {{ repository.name }}
    - key_url: {{ repository.key_url }}
    - file: /etc/apt/sources.list.d/psql.list
    - require_in:
      - pkg: postgresql
{% endif %}

# The first cluster is made on installation and takes its encoding from the locale.
postgresql:
  pkg.installed:
    - name: postgresql-{{ version }}
    - require:
      - file: set_lc_all
  service.running:
    - name: postgresql
    - enable: True
    - reload: True
    - require:
      - pkg: postgresql

/etc/postgresql/{{ version }}/main/pg_hba.conf:
  file.managed:
    - source: salt://postgres/pg_hba.conf
    - user: postgres
    - group: postgres
    - mode: '0640'
    - require:
      - pkg: postgresql
    - watch_in:
      - service: postgresql
