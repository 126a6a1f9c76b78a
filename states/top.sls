# Which server gets which states.

base:
  '*':
    - core

  'kingfisher-process*':
    - ocdskingfisherprocess

  'ocds-docs-*':
    - ocds-docs

  'cove-*':
    - cove
