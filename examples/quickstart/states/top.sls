base:
  '*':
    - quickstart
