# The documentation of the standard. Builds are copied into place by the user `ocds-docs`; a second site shows changes to
# this configuration before they count.
{% from 'lib.sls' import authorized_keys, createuser, apache %}

include:
  - git
  - apache

{% set user = 'ocds-docs' %}
{% set userdir = '/home/' ~ user ~ '/' %}
{% set webdir = userdir ~ 'web/' %}
{% set environment = pillar.apache.environment %}

{{ createuser(user) }}

# Whoever builds may copy.
{{ authorized_keys('ocds-docs-builders', user, 'ocds-docs-builders') }}

ocds-docs modules:
  apache_module.enabled:
    - names:
      - headers
      - include
      - proxy
      - proxy_http
      - rewrite
      - substitute
    - require:
      - pkg: apache2
    - watch_in:
      - service: apache2

{% for dir in [userdir, webdir] %}
{{ dir }}:
  file.directory:
    - user: {{ user }}
    - mode: '0755'
    - require:
      - user: {{ user }}_user_exists
{% endfor %}

{{ webdir }}includes/:
  file.recurse:
    - source: salt://ocds-docs/includes
    - user: {{ user }}
    - require:
      - file: {{ webdir }}

{{ webdir }}robots.txt:
  file.managed:
    - source: salt://ocds-docs/robots_{{ environment }}.txt
    - user: {{ user }}
    - require:
      - file: {{ webdir }}

{% if pillar.get('legacy') %}
# What was published before the standard had versions is served as it is.
{{ pillar.legacy.git.url }}:
  git.latest:
    - rev: master
    - target: {{ webdir }}legacy/
    - user: {{ user }}
    - force_fetch: True
    - force_reset: True
    - require:
      - pkg: git
      - file: {{ webdir }}
{% endif %}

{{ apache('ocds-docs-' ~ environment ~ '.conf',
    source='ocds-docs.conf.include',
    servername=pillar.apache.subdomain ~ 'standard.open-contracting.org',
    https=pillar.apache.https,
    context={'documentroot': webdir, 'testing': False}) }}

{{ apache('ocds-docs-' ~ environment ~ '-testing.conf',
    source='ocds-docs.conf.include',
    servername='testing.' ~ environment ~ '.standard.open-contracting.org',
    https=pillar.apache.https,
    context={'documentroot': webdir, 'testing': True}) }}
