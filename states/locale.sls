# One locale for every login and every service that reads it.
locales:
  pkg.installed:
    - name: locales

# Ubuntu generates the English ones on installation, Debian none.
/etc/locale.gen:
  file.uncomment:
    - regex: en_GB\.UTF-8 UTF-8
    - require:
      - pkg: locales

generate_locales:
  cmd.run:
    - name: locale-gen
    - unless: locale -a | grep -qix 'en_GB\.utf-\?8'
    - require:
      - file: /etc/locale.gen

set_lc_all:
  file.append:
    - name: /etc/default/locale
    - text: LC_ALL="en_GB.UTF-8"
    - require:
      - cmd: generate_locales
