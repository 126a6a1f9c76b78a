from alembic import context
from sqlalchemy import create_engine, pool

from ocdskingfisherprocess.config import Config

engine = create_engine('postgresql+psycopg2://', creator=Config().connect_to_database, poolclass=pool.NullPool)

with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
