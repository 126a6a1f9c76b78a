"""What workers do, and how they are told to."""
import json
import logging
import signal
import time

import redis

ITEMS = 'kingfisher_work'
COLLECTIONS = 'kingfisher_work_collection_store_finished'

# What an item of each type has to have.
FIELDS = {
    'release': ('ocid', 'id', 'date', 'tag'),
    'record': ('ocid', 'releases'),
}

logger = logging.getLogger('ocdskingfisher.work')


def announce(config, queue, **message):
    """Queue work. What is stored but was not queued is found by the nightly checks."""
    try:
        config.connect_to_redis().rpush(queue, json.dumps(message))
    except redis.RedisError:
        logger.exception('Cannot queue %s', message)


class Deadline:
    """Says when to stop: after some seconds, or when asked to. Work in hand is finished first."""

    def __init__(self, seconds):
        self._end = time.monotonic() + seconds if seconds else None
        self._asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_):
        self._asked = True

    @property
    def is_over(self):
        return self._asked or self._end is not None and time.monotonic() >= self._end


def messages(config, queue, deadline):
    """Yield messages as they come, until the deadline."""
    connection = config.connect_to_redis()
    while not deadline.is_over:
        message = connection.blpop(queue, timeout=1)
        if message:
            yield json.loads(message[1])


def check_item(database, item):
    """Store which fields the item lacks."""
    fields = FIELDS.get(item['data_type'], ())
    missing = [field for field in fields if not isinstance(item['data'], dict) or field not in item['data']]
    database.store_problems(item['id'], [f'{field} is missing' for field in missing])
    logger.info('Checked item %s: %d problems', item['id'], len(missing))


def finish_collection(database, collection_id):
    """Do what is due once all items of a collection are there."""
    if collection_id in database.list_collections_to_compile():
        logger.info('Compiled collection %s as %s', collection_id, database.compile_releases(collection_id))
