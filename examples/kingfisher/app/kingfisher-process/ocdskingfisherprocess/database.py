from contextlib import contextmanager

from psycopg2.extras import Json, RealDictCursor


class Database:
    """The statements of the application. Each method is one transaction."""

    def __init__(self, config):
        self._config = config

    @contextmanager
    def transaction(self):
        connection = self._config.connect_to_database()
        try:
            with connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
                yield cursor
        finally:
            connection.close()

    def get_revision(self):
        """Return the revision of the schema, or None before the first migration."""
        with self.transaction() as cursor:
            cursor.execute("SELECT to_regclass('public.alembic_version') IS NOT NULL AS migrated")
            if not cursor.fetchone()['migrated']:
                return None
            cursor.execute('SELECT version_num FROM public.alembic_version')
            row = cursor.fetchone()
            return row and row['version_num']

    def get_collection_id(self, source, data_version, sample):
        """Return the ID of a collection, which is made if it is new."""
        key = (source, data_version, sample)
        query = (
            'SELECT id FROM collection WHERE source_id = %s AND data_version = %s AND sample = %s '
            "AND transform_type = ''")
        with self.transaction() as cursor:
            cursor.execute(query, key)
            if not cursor.rowcount:
                cursor.execute(
                    'INSERT INTO collection (source_id, data_version, sample) VALUES (%s, %s, %s) '
                    'ON CONFLICT (source_id, data_version, sample, transform_type) DO NOTHING', key)
                cursor.execute(query, key)
            return cursor.fetchone()['id']

    def list_collections(self):
        with self.transaction() as cursor:
            cursor.execute(
                'SELECT c.*, count(i.id) AS items, count(i.problems) AS checked '
                'FROM collection c LEFT JOIN item i ON i.collection_id = c.id GROUP BY c.id ORDER BY c.id')
            return cursor.fetchall()

    def end_collection_store(self, collection_id):
        """Return whether the collection was open until now."""
        with self.transaction() as cursor:
            cursor.execute(
                'UPDATE collection SET store_end_at = now() WHERE id = %s AND store_end_at IS NULL', (collection_id,))
            return cursor.rowcount == 1

    def store_item(self, collection_id, file_name, number, data_type, data):
        with self.transaction() as cursor:
            cursor.execute(
                'INSERT INTO item (collection_id, file_name, number, data_type, data) VALUES (%s, %s, %s, %s, %s) '
                'ON CONFLICT (collection_id, file_name, number) '
                'DO UPDATE SET data_type = excluded.data_type, data = excluded.data, problems = NULL RETURNING id',
                (collection_id, file_name, number, data_type, Json(data)))
            return cursor.fetchone()['id']

    def get_item(self, item_id):
        with self.transaction() as cursor:
            cursor.execute('SELECT * FROM item WHERE id = %s', (item_id,))
            return cursor.fetchone()

    def list_unchecked_items(self, limit=100):
        with self.transaction() as cursor:
            cursor.execute('SELECT * FROM item WHERE problems IS NULL ORDER BY id LIMIT %s', (limit,))
            return cursor.fetchall()

    def store_problems(self, item_id, problems):
        with self.transaction() as cursor:
            cursor.execute('UPDATE item SET problems = %s WHERE id = %s', (Json(problems), item_id))

    def list_collections_to_compile(self):
        with self.transaction() as cursor:
            cursor.execute(
                "SELECT id FROM collection c WHERE transform_type = '' AND deleted_at IS NULL "
                'AND store_end_at IS NOT NULL AND NOT EXISTS '
                '(SELECT FROM collection t WHERE t.transform_from_collection_id = c.id) ORDER BY id')
            return [row['id'] for row in cursor.fetchall()]

    def compile_releases(self, collection_id):
        """Make a collection with the newest release of each contracting process, unless there is one; return its ID."""
        with self.transaction() as cursor:
            cursor.execute(
                'INSERT INTO collection '
                '(source_id, data_version, sample, transform_from_collection_id, transform_type, store_end_at) '
                "SELECT source_id, data_version, sample, id, 'compile-releases', now() FROM collection WHERE id = %s "
                'ON CONFLICT (source_id, data_version, sample, transform_type) DO NOTHING RETURNING id',
                (collection_id,))
            row = cursor.fetchone()
            if not row:
                return None
            cursor.execute(
                'INSERT INTO item (collection_id, file_name, number, data_type, data) '
                "SELECT %s, ocid, 0, 'compiled_release', data FROM ("
                "    SELECT DISTINCT ON (data ->> 'ocid') data ->> 'ocid' AS ocid, data FROM item "
                "    WHERE collection_id = %s AND data_type = 'release' AND data ? 'ocid' "
                "    ORDER BY data ->> 'ocid', data ->> 'date' DESC NULLS LAST) newest",
                (row['id'], collection_id))
            return row['id']

    def mark_as_deleted(self, collection_id):
        with self.transaction() as cursor:
            cursor.execute(
                'UPDATE collection SET deleted_at = now() WHERE %s IN (id, transform_from_collection_id) '
                'AND deleted_at IS NULL', (collection_id,))

    def delete_marked_collections(self):
        """Delete what was marked; return how many collections."""
        with self.transaction() as cursor:
            cursor.execute('DELETE FROM collection WHERE deleted_at IS NOT NULL')
            return cursor.rowcount
