"""Verbs in ImageJ's menu: entries, dialogs, calls."""
