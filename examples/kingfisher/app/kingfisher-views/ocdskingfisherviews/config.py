import configparser
import os

import psycopg2


def connect_to_database():
    # The driver itself looks up the password in ~/.pgpass.
    ini = configparser.ConfigParser()
    ini.read(os.path.expanduser('~/.config/ocdskingfisher-views/config.ini'))
    database = ini['DBHOST']
    return psycopg2.connect(
        host=database['HOSTNAME'], port=database['PORT'], user=database['USERNAME'], dbname=database['DBNAME'],
        application_name='kingfisher-views')
