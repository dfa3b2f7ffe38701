"""Access to Java classes by name, and to their private members."""

from __future__ import annotations

from typing import Any


def java_class(name: str) -> Any:
    """Return a Java class by its name."""
    import jpype

    return jpype.JClass(name)


def has_class(name: str) -> bool:
    """Tell whether a class is on the class path of the running JVM; the class is not loaded."""
    loader = java_class("java.lang.ClassLoader").getSystemClassLoader()
    return loader.getResource(name.replace(".", "/") + ".class") is not None


def accessible(member: Any) -> Any:
    """Make a field, method or constructor of ``java.lang.reflect`` accessible, and return it."""
    member.setAccessible(True)
    return member


def private_field(owner: Any, name: str) -> Any:
    """Return the ``java.lang.reflect.Field`` of a class, accessible even if it is private.

    Raises
    ------
    jpype.JException
        ``java.lang.NoSuchFieldException`` if the class has no such field.
    """
    return accessible(owner.class_.getDeclaredField(name))
