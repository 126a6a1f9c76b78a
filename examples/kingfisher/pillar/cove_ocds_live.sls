git:
  url: https://github.com/OpenDataServices/cove.git
apache:
  servername: cove.live.cove.opencontracting.uk0.bigv.io
django:
  app: cove_ocds
  env:
    ALLOWED_HOSTS: .standard.open-contracting.org,.cove.opencontracting.uk0.bigv.io
    PIWIK_SITE_ID: '20'
