# Every kind of server has public values, and private ones beside them: passwords, keys, tokens.

base:
  '*':
    - common
    - private.common

  'kingfisher-process*':
    - ocdskingfisherprocess
    - private.ocdskingfisherprocess
    - demo

  'ocds-docs-live*':
    - ocds_docs_live
    - private.ocds_docs

  'ocds-docs-staging*':
    - ocds_docs_staging
    - private.ocds_docs

  'cove-*':
    - django
    - cove
    - private.cove

  'cove-live-oc4ids*':
    - cove_oc4ids_live

  'cove-live-ocds*':
    - cove_ocds_live
