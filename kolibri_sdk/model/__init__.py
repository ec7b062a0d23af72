"""Frozen values that every room speaks in: mails, mailboxes, records, rules, decisions."""
