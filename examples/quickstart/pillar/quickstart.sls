# `demo.sh` gives other values on the command line: `--pillar '{"quickstart": {…}}'`.
quickstart:
  # Everything is kept under this folder.
  dir: /tmp/kstate-quickstart
  # Anything that git can clone.
  repository: /tmp/kstate-quickstart.git
  greeting: Hello
  # Whose crontab gets a line; nobody's, if this is empty.
  crontab: ''
