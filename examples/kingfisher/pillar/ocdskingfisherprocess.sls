ocdskingfisherprocess:
  git:
    url: https://github.com/open-contracting/kingfisher-process.git
  web:
    host: process.kingfisher.open-contracting.org
  tools:
    - flattentool
    - ocdskit

ocdskingfisherviews:
  git:
    url: https://github.com/open-contracting/kingfisher-views.git
