redis:
  pkg.installed:
    - name: redis
  service.running:
    - name: redis-server
    - enable: True
    - require:
      - pkg: redis
