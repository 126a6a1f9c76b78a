# The host of the demo reaches no network: its code comes from repositories on the host itself, and one of the few
# packages that its pip finds stands for the tools.
ocdskingfisherprocess:
  git:
    url: /srv/git/kingfisher-process.git
  tools:
    - itsdangerous

ocdskingfisherviews:
  git:
    url: /srv/git/kingfisher-views.git
