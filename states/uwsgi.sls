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
    - require:
      - pkg: uwsgi
