# EXAMPLE VALUES: nobody has the other half of these keys. The real ones belong into a repository of their own.
authorized_keys:
  root:
    add:
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBmH7zunLmuOOeKnZFn6kcf7lt1ETXCEMaqP/DjD/k7v admin@example.org
    remove:
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILbLe6kwS1lIiA620YM/idYDiZlunRKpGc8PmIsCIB4y former-admin@example.org
  kingfisher:
    add:
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKCLak8r38E/+DWecocUE/DpayUu2MCV6VLcoFr97M4/ analyst@example.org
