# EXAMPLE VALUES: nobody has the other half of this key.
authorized_keys:
  ocds-docs-builders:
    add:
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIYGQvCnovd6Ga93u1dzc6ZucYvJPSPqnagL+uzWKJ9+ builds@example.org
