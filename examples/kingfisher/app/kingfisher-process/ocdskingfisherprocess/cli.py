import argparse
import logging
import os

import alembic.config

from ocdskingfisherprocess import work
from ocdskingfisherprocess.config import Config
from ocdskingfisherprocess.database import Database

logger = logging.getLogger('ocdskingfisher.cli')


def upgrade_database(config, database, args):
    """Make or migrate the tables."""
    top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    alembic.config.main(argv=['--config', os.path.join(top, 'mainalembic.ini'), '--raiseerr', 'upgrade', 'head'])


def process_redis_queue(config, database, args):
    """Check items as they are stored."""
    for message in work.messages(config, work.ITEMS, work.Deadline(args.runforseconds)):
        item = database.get_item(message['item_id'])
        if item:
            work.check_item(database, item)


def process_redis_queue_collection_store_finished(config, database, args):
    """Finish collections as their last item is stored."""
    for message in work.messages(config, work.COLLECTIONS, work.Deadline(args.runforseconds)):
        work.finish_collection(database, message['collection_id'])


def check_collections(config, database, args):
    """Check the items that the queue missed."""
    deadline = work.Deadline(args.runforseconds)
    while not deadline.is_over:
        items = database.list_unchecked_items()
        if not items:
            return
        for item in items:
            work.check_item(database, item)


def transform_collections(config, database, args):
    """Finish the collections that the queue missed."""
    deadline = work.Deadline(args.runforseconds)
    for collection_id in database.list_collections_to_compile():
        if deadline.is_over:
            return
        work.finish_collection(database, collection_id)


def delete_collection(config, database, args):
    """Mark a collection, and what was made of it, for the next deletion."""
    database.mark_as_deleted(args.id)


def delete_collections(config, database, args):
    """Delete the collections that are marked."""
    logger.info('Deleted %d collections', database.delete_marked_collections())


def list_collections(config, database, args):
    """List collections."""
    for row in database.list_collections():
        print(row['id'], row['source_id'], row['transform_type'] or 'original', row['items'], row['checked'])


COMMANDS = [
    upgrade_database, process_redis_queue, process_redis_queue_collection_store_finished, check_collections,
    transform_collections, delete_collection, delete_collections, list_collections,
]
LONG_RUNNING = [
    process_redis_queue, process_redis_queue_collection_store_finished, check_collections, transform_collections,
]


def main():
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers(required=True, metavar='COMMAND')
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.__name__.replace('_', '-'), help=command.__doc__)
        subparser.set_defaults(command=command)
        if command in LONG_RUNNING:
            subparser.add_argument('--runforseconds', type=int, default=0, help='stop after this time')
        if command is delete_collection:
            subparser.add_argument('id', type=int)
    args = parser.parse_args()

    config = Config()
    config.set_up_logging()
    logger.info('Running %s', args.command.__name__)
    args.command(config, Database(config), args)
