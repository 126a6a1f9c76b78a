"""collection summary

Revision ID: a41e6b09c2d8
Revises:
Create Date: 2019-11-18 09:30:00

"""
from alembic import op

revision = 'a41e6b09c2d8'
down_revision = None


def upgrade():
    op.execute("""
        CREATE MATERIALIZED VIEW views.collection_summary AS
        SELECT c.id, c.source_id, c.data_version, c.transform_type, count(i.id) AS items
        FROM public.collection c LEFT JOIN public.item i ON i.collection_id = c.id
        WHERE c.deleted_at IS NULL GROUP BY c.id
    """)


def downgrade():
    op.execute('DROP MATERIALIZED VIEW views.collection_summary')
