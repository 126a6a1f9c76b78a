include:
  - ocds_docs

apache:
  environment: staging
  subdomain: staging.
  https: both

automatic_reboot: 'true'
