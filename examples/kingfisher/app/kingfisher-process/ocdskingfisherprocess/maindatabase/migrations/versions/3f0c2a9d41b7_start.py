"""start

Revision ID: 3f0c2a9d41b7
Revises:
Create Date: 2019-11-04 10:12:00

"""
from alembic import op

revision = '3f0c2a9d41b7'
down_revision = None


def upgrade():
    op.execute("""
        CREATE TABLE collection (
            id serial PRIMARY KEY,
            source_id text NOT NULL,
            data_version timestamp NOT NULL,
            sample boolean NOT NULL,
            store_start_at timestamptz NOT NULL DEFAULT now(),
            store_end_at timestamptz,
            deleted_at timestamptz,
            transform_from_collection_id integer REFERENCES collection ON DELETE CASCADE,
            transform_type text NOT NULL DEFAULT '',
            CONSTRAINT unique_collection UNIQUE (source_id, data_version, sample, transform_type)
        )
    """)
    # An item without `problems` has not been checked yet.
    op.execute("""
        CREATE TABLE item (
            id serial PRIMARY KEY,
            collection_id integer NOT NULL REFERENCES collection ON DELETE CASCADE,
            file_name text NOT NULL,
            number integer NOT NULL,
            data_type text NOT NULL,
            data jsonb NOT NULL,
            problems jsonb,
            stored_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT unique_item UNIQUE (collection_id, file_name, number)
        )
    """)


def downgrade():
    op.execute('DROP TABLE item')
    op.execute('DROP TABLE collection')
