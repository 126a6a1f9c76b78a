# What more than one kind of server needs, as macros to import: authorized_keys, createuser, apache, uwsgi.


# The keys of one group of people, in `authorized_keys:GROUP:add` and `:remove` of the pillar. Whoever leaves the group
# moves from one list to the other, because a key that is only forgotten here stays on the servers.
{% macro authorized_keys(id, user, group) %}
{% set keys = salt['pillar.get']('authorized_keys:' ~ group, {}) %}
{% for verb, function in [('add', 'present'), ('remove', 'absent')] if keys.get(verb) %}
{{ id }}_authorized_keys_{{ verb }}:
  ssh_auth.{{ function }}:
    - user: {{ user }}
    - names: {{ keys[verb]|json }}
    {% if user != 'root' %}
    - require:
      - user: {{ user }}_user_exists
    {% endif %}
{% endfor %}
{% endmacro %}


# A user for an application to run as; administrators may log in as this user, and so may the groups in `keys`.
{% macro createuser(user, keys=[]) %}
{{ user }}_user_exists:
  user.present:
    - name: {{ user }}
    - home: /home/{{ user }}
    - shell: /bin/bash
    - order: 1

{% for group in ['root'] + keys %}
{{ authorized_keys(user ~ '_' ~ group, user, group) }}
{% endfor %}
{% endmacro %}


# An Apache site. `https` is empty (plain HTTP), `both` (HTTP and HTTPS), `force` (HTTP leads to HTTPS) or `certonly`
# (HTTP, and a certificate is got). With `https`, `source` is what stands inside each virtual host; without, the file.
{% macro apache(name, source, servername='', serveraliases=[], https='', context={}) %}
{% set servername = servername or grains.fqdn %}
{% set context = dict(context, sitename=name, servername=servername, serveraliases=serveraliases, https=https) %}
{% set available = '/etc/apache2/sites-available/' ~ name %}
{{ available }}:
  file.managed:
    - source: salt://apache/{{ '_common.conf' if https else source }}
    - template: jinja
    - context: {{ context|json }}
    - require:
      - pkg: apache2
    - watch_in:
      - service: apache2

/etc/apache2/sites-enabled/{{ name }}:
  file.symlink:
    - target: {{ available }}
    - require:
      - file: {{ available }}
    - watch_in:
      - service: apache2

{% if https %}
{{ available }}.include:
  file.managed:
    - source: salt://apache/{{ source }}
    - template: jinja
    - context: {{ context|json }}
    - require:
      - pkg: apache2
    - watch_in:
      - service: apache2

# The site must be served over HTTP for the certificate to be given; Apache takes it up when it is there.
{{ servername }}_acquire_certs:
  cmd.run:
    - name: >-
        certbot certonly --non-interactive --agree-tos --email {{ pillar.letsencrypt.email }} --expand
        --webroot --webroot-path /var/www/html/
        {%- for domain in [servername] + serveraliases %} -d {{ domain }}{% endfor %}
    - creates: /etc/letsencrypt/live/{{ servername }}/fullchain.pem
    - require:
      - pkg: letsencrypt
      - file: /var/www/html/.well-known/acme-challenge
      - service: apache2

{{ servername }}_use_certs:
  module.wait:
    - name: service.reload
    - m_name: apache2
    - watch:
      - cmd: {{ servername }}_acquire_certs
{% endif %}
{% endmacro %}


# A uWSGI application. What it serves (checkout, packages, configuration) says `watch_in: - service: uwsgi` itself.
{% macro uwsgi(name, source, context={}) %}
/etc/uwsgi/apps-available/{{ name }}:
  file.managed:
    - source: salt://uwsgi/{{ source }}
    - template: jinja
    {% if context %}
    - context: {{ context|json }}
    {% endif %}
    - require:
      - pkg: uwsgi
    - watch_in:
      - service: uwsgi

/etc/uwsgi/apps-enabled/{{ name }}:
  file.symlink:
    - target: /etc/uwsgi/apps-available/{{ name }}
    - require:
      - file: /etc/uwsgi/apps-available/{{ name }}
    - watch_in:
      - service: uwsgi
{% endmacro %}
