# The web server, and the certificates of its sites. Sites come from the `apache` macro in lib.sls.
{% from 'lib.sls' import apache %}

include:
  - locale

apache2:
  pkg.installed:
    - name: apache2
  service.running:
    - name: apache2
    - enable: True
    - reload: True
    - require:
      - pkg: apache2

# Python under Apache takes its encoding from the locale; Apache fails to start if the file is not there.
/etc/apache2/envvars:
  file.uncomment:
    - regex: \. /etc/default/locale
    - require:
      - pkg: apache2
      - file: set_lc_all

apache-ssl:
  apache_module.enabled:
    - name: ssl
    - require:
      - pkg: apache2
    - watch_in:
      - service: apache2

# Only sites that alias it serve it.
/var/www/html/robots.txt:
  file.managed:
    - source: salt://apache/robots_dev.txt
    - require:
      - pkg: apache2

# What answers to a name that no site has: so a misspelt one is seen at once.
{{ apache('000-default.conf', source='000-default.conf') }}

## Certificates

letsencrypt:
  pkg.installed:
    - name: certbot

/var/www/html/.well-known/acme-challenge:
  file.directory:
    - user: www-data
    - group: www-data
    - makedirs: True
    - require:
      - pkg: apache2

cron-letsencrypt-renew:
  cron.present:
    - identifier: letsencrypt-renew
    - name: certbot renew --quiet --deploy-hook 'service apache2 reload'
    - user: root
    - minute: random
    - hour: 7
    - require:
      - pkg: letsencrypt
