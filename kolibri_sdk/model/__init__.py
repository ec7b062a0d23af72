"""Frozen values that every room speaks in: mails, mailboxes, entities, rules, templates, users, decisions."""
