include:
  - ocds_docs

apache:
  environment: live
  subdomain: ''
  https: force
  # Half a minute more than the limit of the review tool.
  timeout: 1830

docs:
  /:
    cove: https://cove.live.cove.opencontracting.uk0.bigv.io
  /infrastructure:
    cove: https://cove-live.oc4ids.opencontracting.uk0.bigv.io

legacy:
  git:
    url: https://github.com/open-contracting/standard-legacy-staticsites.git
