"""Kolibri SDK: service-desk e-mail for Jupyter."""
