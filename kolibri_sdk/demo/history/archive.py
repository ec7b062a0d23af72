"""The invented mails as an mbox and a file of labels, as an analyst would have them."""

from __future__ import annotations

import csv
from pathlib import Path

from kolibri_sdk.demo.history.letter import written
from kolibri_sdk.demo.history.year import historic_mails

__all__ = ["write_history"]


def write_history(folder: Path | str) -> tuple[Path, Path]:
    """Write half a year of an invented service desk's mail; the same bytes every time.

    Parameters
    ----------
    folder : path
        Where ``desk.mbox`` and ``labels.csv`` (``message_id,label``) are written; it is made.

    Returns
    -------
    tuple of Path
        The archive, and the labels: the group that solved what the mail was about. Mails that
        nobody solved, such as newsletters, have none.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> archive, labels = write_history(mkdtemp())
    >>> archive.name, labels.name
    ('desk.mbox', 'labels.csv')
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    archive, labels = target / "desk.mbox", target / "labels.csv"
    mails = historic_mails()
    with archive.open("wb") as out:
        for mail in mails:
            raw = written(mail)
            # mboxrd (RFC 4155 and its kin): lines that look like an envelope are quoted.
            quoted = b"\n".join(
                b">" + line if line.lstrip(b">").startswith(b"From ") else line
                for line in raw.split(b"\n")
            )
            stamp = mail.sent.strftime("%a %b %d %H:%M:%S %Y")
            out.write(f"From {mail.sender.address} {stamp}\n".encode() + quoted + b"\n")
    with labels.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["message_id", "label"])
        table.writerows([mail.message_id, mail.label] for mail in mails if mail.label)
    return archive, labels
