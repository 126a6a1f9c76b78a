import configparser
import json
import logging.config
import os

import psycopg2
import redis

DIRECTORY = os.path.expanduser('~/.config/ocdskingfisher-process')


class Config:
    """What the application is told about its surroundings."""

    def __init__(self, directory=DIRECTORY):
        self._directory = directory
        self._ini = configparser.ConfigParser()
        self._ini.read(os.path.join(directory, 'config.ini'))

    @property
    def api_keys(self):
        keys = self._ini.get('WEB', 'API_KEYS', fallback='').split(',')
        return {key.strip() for key in keys if key.strip()}

    def connect_to_database(self):
        # The driver itself looks up the password in ~/.pgpass.
        database = self._ini['DBHOST']
        return psycopg2.connect(
            host=database['HOSTNAME'], port=database['PORT'], user=database['USERNAME'], dbname=database['DBNAME'],
            application_name='kingfisher-process')

    def connect_to_redis(self):
        return redis.Redis(
            host=self._ini['REDIS']['HOST'], port=self._ini.getint('REDIS', 'PORT'),
            db=self._ini.getint('REDIS', 'DATABASE'))

    def set_up_logging(self):
        path = os.path.join(self._directory, 'logging.json')
        if os.path.isfile(path):
            with open(path) as f:
                logging.config.dictConfig(json.load(f))
