name: cove
user: cove
apache:
  https: both
  serveraliases: ['master.{{ grains.fqdn }}']
  error_page: >-
    <h2>Something went wrong.</h2> <p>The file may be too big: try a smaller sample. If that does not help, write to
    <a href="mailto:code@opendataservices.coop">code@opendataservices.coop</a>.</p>
  trusted_proxies:
    - 5.28.62.151
    - 2001:41c9:1:41c::151
django:
  env:
    GOOGLE_ANALYTICS_ID: UA-35677147-1
    PIWIK_URL: //mon.opendataservices.coop/piwik/
    PIWIK_DIMENSION_MAP: file_type=1,page_type=2,form_name=3,language=4,exit_language=5
    PREFIX_MAP: ''
uwsgi:
  workers: 100
  larger_limits: True
  limit_as: 12000
  harakiri: 1800
