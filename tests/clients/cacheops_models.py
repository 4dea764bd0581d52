"""django-cacheops, unchanged: cacheops_models.py PORT

Threads write rows and read them through functions that are cached and kept fresh: a reader that begins
after a write has ended never sees what was before it, and reads come from the cache while nothing
changes. Its scripts make their keys up.
"""

import sys
import tempfile
import threading

import django
from django.conf import settings

PORT = int(sys.argv[1])
ROWS, WRITES, READERS = 5, 15, 2

folder = tempfile.TemporaryDirectory()
settings.configure(
    DATABASES={"default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": f"{folder.name}/rows.sqlite",
        "OPTIONS": {"timeout": 30, "init_command": "PRAGMA synchronous=OFF"},
    }},
    INSTALLED_APPS=["cacheops"],
    CACHEOPS_REDIS={"host": "127.0.0.1", "port": PORT, "db": 0},
    CACHEOPS={"*.*": {"ops": "all", "timeout": 600}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()

from cacheops import cached_as, invalidate_all  # noqa: E402
from cacheops.redis import redis_client  # noqa: E402
from cacheops.signals import cache_read  # noqa: E402
from django.db import connection, models  # noqa: E402


class Row(models.Model):
    group = models.IntegerField()
    value = models.IntegerField()

    class Meta:
        app_label = "cacheops"


hits = []


def count_hits(sender, func, hit, **_):
    if hit:
        hits.append(func)


def make_rows():
    with connection.schema_editor() as editor:
        editor.create_model(Row)
    for number in range(ROWS):
        Row.objects.create(id=number + 1, group=number % 2, value=0)


def check_cache():
    for _ in range(10):
        assert Row.objects.filter(group=0).count() == 3
        assert Row.objects.get(id=1).value == 0
    assert len(hits) >= 18, len(hits)
    calls = []

    @cached_as(Row.objects.filter(group=1), timeout=600)
    def total():
        calls.append(1)
        return sum(row.value for row in Row.objects.filter(group=1))

    assert [total(), total()] == [0, 0] and len(calls) == 1
    Row.objects.get(id=1).save()
    total()
    assert len(calls) == 1, "what does not depend on a row was thrown away with it"
    Row.objects.get(id=2).save()
    total()
    assert len(calls) == 2, "what depends on a row was kept"


def fresh_value(number):
    @cached_as(Row.objects.filter(id=number + 1), timeout=600, keep_fresh=True, extra=number)
    def value():
        return Row.objects.nocache().get(id=number + 1).value

    return value


def check_freshness():
    """Each thread of writers has a row of its own and says what it has written; readers compare.

    Only `keep_fresh` promises that: a query's own caching stores what it has read from the database even
    if it was thrown away meanwhile, with every server.
    """
    rows = [fresh_value(number) for number in range(ROWS)]
    sum_of_group = cached_as(Row.objects.filter(group=0), timeout=600, keep_fresh=True)(
        lambda: sum(row.value for row in Row.objects.nocache().filter(group=0))
    )
    written, errors = [0] * ROWS, []
    writing = threading.Event()

    def guarded(work, *arguments):
        try:
            work(*arguments)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    def write(number):
        for value in range(1, WRITES + 1):
            row = Row.objects.nocache().get(id=number + 1)
            row.value = value
            row.save()
            written[number] = value

    def read():
        while not writing.is_set():
            least = list(written)
            for number in range(ROWS):
                seen = rows[number]()
                assert seen >= least[number], f"{seen} was read after {least[number]} was written"
            assert sum_of_group() >= sum(least[::2])

    writers = [threading.Thread(target=guarded, args=(write, number)) for number in range(ROWS)]
    readers = [threading.Thread(target=guarded, args=(read,)) for _ in range(READERS)]
    for thread in writers + readers:
        thread.start()
    for thread in writers:
        thread.join()
    writing.set()
    for thread in readers:
        thread.join()
    assert not errors, errors
    assert [row.value for row in Row.objects.order_by("id")] == [WRITES] * ROWS


cache_read.connect(count_hits)
make_rows()
check_cache()
check_freshness()
assert redis_client.dbsize() > 0
invalidate_all()
assert redis_client.dbsize() == 0
print(f"django-cacheops: {ROWS * WRITES} writes, {len(hits)} reads from the cache, none of them stale")
