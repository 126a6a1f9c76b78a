from alembic import context
from sqlalchemy import create_engine, pool

from ocdskingfisherviews.config import connect_to_database

engine = create_engine('postgresql+psycopg2://', creator=connect_to_database, poolclass=pool.NullPool)

with engine.connect() as connection:
    # The database is another application's, which has a table of revisions itself.
    context.configure(connection=connection, version_table_schema='views')
    with context.begin_transaction():
        context.run_migrations()
