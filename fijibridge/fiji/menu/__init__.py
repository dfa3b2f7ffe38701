"""Verbs as commands of ImageJ: menu entries, dialogs and calls."""
