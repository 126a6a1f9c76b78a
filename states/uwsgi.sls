# Reloaded, never restarted: a reload lets every request finish. Applications come from the `uwsgi` macro in lib.sls.
uwsgi:
  pkg.installed:
    - pkgs:
      - uwsgi
      - uwsgi-plugin-python3
  service.running:
    - name: uwsgi
    - enable: True
    - reload: True
    # As long as uWSGI lets workers of before finish (its `reload-mercy`); the report says when they were gone.
    - old_workers: 60
    - require:
      - pkg: uwsgi
