# EXAMPLE VALUES
django:
  env:
    SECRET_KEY: example-only-secret-key
    SENTRY_DSN: ''
