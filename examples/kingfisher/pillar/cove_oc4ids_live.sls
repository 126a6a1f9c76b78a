git:
  url: https://github.com/open-contracting/cove-oc4ids.git
apache:
  servername: cove-live.oc4ids.opencontracting.uk0.bigv.io
  assets_base_url: /infrastructure
django:
  app: cove_project
  env:
    ALLOWED_HOSTS: .standard.open-contracting.org,.oc4ids.opencontracting.uk0.bigv.io
    PIWIK_SITE_ID: '22'
