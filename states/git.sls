# Under an ID of its own, so that every state with a checkout can say `require: - pkg: git`.
git:
  pkg.installed:
    - name: git
