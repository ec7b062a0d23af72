"""Ingest one IMAP mailbox with django-mailbox into SQLite; prints seconds and mails as JSON.

Run by its own environment's Python: ``django_mailbox_ingest.py FOLDER IMAP_URI``.
"""

import json
import sys
import time
from pathlib import Path

import django
from django.conf import settings

folder, uri = Path(sys.argv[1]), sys.argv[2]
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django_mailbox"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "django.db"}},
    MEDIA_ROOT=str(folder / "media"),
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
    SECRET_KEY="benchmark",
    DJANGO_MAILBOX_STORE_ORIGINAL_MESSAGE=True,
    DJANGO_MAILBOX_COMPRESS_ORIGINAL_MESSAGE=True,
)
django.setup()

from django.core.management import call_command  # noqa: E402 - needs the settings
from django_mailbox.models import Mailbox  # noqa: E402

call_command("migrate", verbosity=0)
box = Mailbox.objects.create(name="support", uri=uri)
started = time.perf_counter()
stored = sum(1 for _ in box.get_new_mail())
print(json.dumps({"seconds": time.perf_counter() - started, "mails": stored}))
