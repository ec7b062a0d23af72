"""The committed notebooks, executed by papermill as schedulers do it."""
