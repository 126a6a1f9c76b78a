# EXAMPLE VALUES
ocdskingfisherprocess:
  postgres:
    ocdskfp:
      password: example-only-ocdskfp
    ocdskfpreadonly:
      password: example-only-readonly
    ocdskfpguest:
      password: example-only-guest
  web:
    # Several are possible, with commas between them.
    apikeys: example-only-api-key
  sentry:
    dsn: ''
