"""Verbs as ImageJ commands: menu items, dialogs and calls."""
