"""read-only users

Revision ID: d75c13f8e604
Revises: a41e6b09c2d8
Create Date: 2019-12-02 15:05:00

"""
from alembic import op

revision = 'd75c13f8e604'
down_revision = 'a41e6b09c2d8'


def upgrade():
    op.execute('CREATE TABLE view_meta.read_only_user (username varchar(64) PRIMARY KEY)')


def downgrade():
    op.execute('DROP TABLE view_meta.read_only_user')
