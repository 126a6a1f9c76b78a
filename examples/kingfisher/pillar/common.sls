# Where servers send what administrators should read.
mailto: sysadmin@open-contracting.org,code@opendataservices.coop

automatic_reboot: 'false'

letsencrypt:
  email: sysadmin@open-contracting.org
