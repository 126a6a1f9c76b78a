# What every Django application starts from. Each one adds `name`, `user`, `git:url`, `django:app` and `apache:servername`.
apache:
  https: ''
  serveraliases: []
  assets_base_url: ''
git:
  branch: master
django:
  compilemessages: True
  env:
    DEBUG: 'False'
    LANG: en_US.utf8
uwsgi:
  # With larger limits, `limit_as` (MB) and `harakiri` (seconds) have to be given as well.
  larger_limits: False
