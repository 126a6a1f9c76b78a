import json
import logging
import os
from urllib.parse import parse_qs

from ocdskingfisherprocess import __version__, work
from ocdskingfisherprocess.config import Config
from ocdskingfisherprocess.database import Database

logger = logging.getLogger('ocdskingfisher.web')


class Refused(Exception):
    """What a client did wrong, as `status` and `text`."""

    def __init__(self, status, text):
        self.status = status
        self.text = text


def create_app(config=None):
    if config is None:
        config = Config()
        config.set_up_logging()
    return App(config, Database(config))


class App:
    """The application as WSGI wants it."""

    def __init__(self, config, database):
        self._config = config
        self._database = database
        self._routes = {
            ('GET', '/'): self.get_version,
            ('GET', '/robots.txt'): lambda environ: 'User-agent: *\nDisallow: /\n',
            ('GET', '/api/v1/collections'): self.get_collections,
            ('POST', '/api/v1/submit/item/'): self.submit_item,
            ('POST', '/api/v1/submit/end_collection_store/'): self.submit_end_collection_store,
        }

    def __call__(self, environ, start_response):
        route = self._routes.get((environ['REQUEST_METHOD'], environ.get('PATH_INFO') or '/'))
        try:
            if not route:
                raise Refused('404 Not Found', 'NOT FOUND')
            status, body = '200 OK', route(environ)
        except Refused as e:
            status, body = e.status, e.text
        except Exception:
            logger.exception('%s %s', environ['REQUEST_METHOD'], environ.get('PATH_INFO'))
            status, body = '500 Internal Server Error', 'ERROR'

        kind = 'text/plain'
        if not isinstance(body, str):
            kind, body = 'application/json', json.dumps(body, default=str) + '\n'
        body = body.encode()
        start_response(status, [('Content-Type', f'{kind}; charset=utf-8'), ('Content-Length', str(len(body)))])
        return [body]

    def get_version(self, environ):
        return {
            'name': 'OCDS Kingfisher Process',
            'version': __version__,
            'schema': self._database.get_revision(),
            'pid': os.getpid(),
        }

    def get_collections(self, environ):
        return self._database.list_collections()

    def submit_item(self, environ):
        form, collection_id = self._receive(environ)
        try:
            number = int(form['number'])
            data = json.loads(form['data'])
            item_id = self._database.store_item(
                collection_id, form['file_name'], number, form['data_type'], data)
        except (KeyError, ValueError):
            raise Refused('400 Bad Request', 'ITEM FIELDS NOT SPECIFIED')
        work.announce(self._config, work.ITEMS, item_id=item_id)
        return 'OCDS Kingfisher APIs V1 Submit'

    def submit_end_collection_store(self, environ):
        _, collection_id = self._receive(environ)
        if not self._database.end_collection_store(collection_id):
            return 'OCDS Kingfisher APIs V1 Submit - Already Done!'
        work.announce(self._config, work.COLLECTIONS, collection_id=collection_id)
        return 'OCDS Kingfisher APIs V1 Submit'

    def _receive(self, environ):
        scheme, _, key = environ.get('HTTP_AUTHORIZATION', '').partition(' ')
        if scheme != 'ApiKey' or key not in self._config.api_keys:
            raise Refused('401 Unauthorized', 'ACCESS DENIED')
        length = int(environ.get('CONTENT_LENGTH') or 0)
        form = {name: values[-1] for name, values in parse_qs(environ['wsgi.input'].read(length).decode()).items()}
        if not form.get('collection_source') or not form.get('collection_data_version'):
            raise Refused('400 Bad Request', 'COLLECTION FIELDS NOT SPECIFIED')
        return form, self._database.get_collection_id(
            form['collection_source'], form['collection_data_version'], form.get('collection_sample') == 'true')
