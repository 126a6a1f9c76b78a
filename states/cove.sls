# CoVE, the Data Review Tool: people upload a file, and are shown what is wrong with it.

include:
  - django

{% set djangodir = '/home/' ~ pillar.user ~ '/' ~ pillar.name ~ '/' %}

remoteip:
  apache_module.enabled:
    - name: remoteip
    - require:
      - pkg: apache2
    - watch_in:
      - service: apache2

# Uploads are promised to be deleted. In a crontab, a plain % ends the command.
cd {{ djangodir }}; . .ve/bin/activate; DJANGO_SETTINGS_MODULE={{ pillar.django.app }}.settings SECRET_KEY="{{ pillar.django.env.SECRET_KEY|replace('%', '\\%') }}" python manage.py expire_files:
  cron.present:
    - identifier: COVE_EXPIRE_FILES
    - user: {{ pillar.user }}
    - minute: random
    - hour: 0
    - require:
      - user: {{ pillar.user }}_user_exists

MAILTO:
  cron.env_present:
    - name: MAILTO
    - value: {{ pillar.mailto }}
    - user: {{ pillar.user }}
    - require:
      - user: {{ pillar.user }}_user_exists
