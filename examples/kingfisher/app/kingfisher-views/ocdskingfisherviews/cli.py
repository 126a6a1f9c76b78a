import argparse
import os

import alembic.config
from psycopg2 import sql

from ocdskingfisherviews.config import connect_to_database


def upgrade_database():
    """Make or migrate the views."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'alembic.ini')
    alembic.config.main(argv=['--config', path, '--raiseerr', 'upgrade', 'head'])


def correct_user_permissions():
    """Let the users of view_meta.read_only_user read the data and the views made of it."""
    with connect_to_database() as connection, connection.cursor() as cursor:
        cursor.execute(r"SELECT nspname FROM pg_namespace WHERE nspname = 'public' OR nspname LIKE 'view\_data\_%'")
        schemas = [sql.Identifier(row[0]) for row in cursor.fetchall()]
        cursor.execute('SELECT username FROM view_meta.read_only_user')
        users = [sql.Identifier(row[0]) for row in cursor.fetchall()]
        for user in users:
            for schema in schemas:
                cursor.execute(sql.SQL('GRANT USAGE ON SCHEMA {} TO {}').format(schema, user))
                cursor.execute(sql.SQL('GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}').format(schema, user))


def refresh_views():
    """Compute the summaries anew."""
    with connect_to_database() as connection, connection.cursor() as cursor:
        cursor.execute('REFRESH MATERIALIZED VIEW views.collection_summary')


def main():
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers(required=True, metavar='COMMAND')
    for command in [upgrade_database, correct_user_permissions, refresh_views]:
        subparser = subparsers.add_parser(command.__name__.replace('_', '-'), help=command.__doc__)
        subparser.set_defaults(command=command)
    parser.parse_args().command()
