"""``gates.yaml``: the gates of a backtest as a value; every mistake with file, line and mend."""

from __future__ import annotations

from pathlib import Path

from kolibri_sdk.model.gates import Gates
from kolibri_sdk.rulebook.explain import validate
from kolibri_sdk.rulebook.yaml_file import read_yaml

__all__ = ["load_gates"]


def load_gates(path: str | Path) -> Gates:
    """Read the gates of a backtest; files of labels are found beside it.

    Raises
    ------
    ConfigurationError
        With one problem per mistake.

    Examples
    --------
    >>> load_gates("gates.yaml").new_errors                         # doctest: +SKIP
    0
    """
    file = Path(path)
    gates = validate(Gates, read_yaml(file, str(path)))
    found = {
        rule: source.model_copy(update={"file": str(file.parent / source.file)})
        if source.file is not None
        else source
        for rule, source in gates.labels.items()
    }
    return gates.model_copy(update={"labels": found})
