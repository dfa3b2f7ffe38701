"""Verbs as ImageJ commands: menu items, dialogs and calls."""

from fijibridge.renames import rename_attributes

rename_attributes(
    __name__,
    {
        "Menu": "fiji.menu.menu_bar:Menu",
        "NAME": "fiji.menu.menu_bar:NAME",
    },
)
