"""Make a folder that pyimagej starts as an ImageJ2, of what Maven Central has: ImageJ, SciJava and a small gateway.

``python -m tests.fiji.imagej2 FOLDER``, in a process of its own: the gateway's class is compiled in a JVM. No registry
has ImageJ2 itself, so what its plugins do is not tested here, but starting, quitting and joining are.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

JARS = (
    "net.imagej:ij:1.54p",
    "net.imagej:ij1-patcher:2.0.0",
    "org.scijava:scijava-common:2.100.1",
    "org.apposed:appose:0.9.0",  # brings Groovy
    "org.scijava:parsington:3.1.0",
    "net.java.dev.jna:jna:5.14.0",
)
VERSION = 'public String getVersion() { return "2.17.0/1.54p"; }'
PATCH = "{ net.imagej.patcher.LegacyInjector.preinit(); }"  # as ImageJ2's legacy layer does


def make(folder: Path) -> Path:
    """Make the folder: ``jars``, ``plugins``, and no imglib2-imglyb, as in every Fiji."""
    import jpype

    from fijibridge.imagej.installations import find_java, java_libraries
    from fijibridge.java.jars import jars_of

    jars = jars_of(JARS)
    (folder / "jars").mkdir(parents=True)
    (folder / "plugins").mkdir()
    for jar in jars:
        shutil.copy2(jar, folder / "jars" / jar.name)
    library = str(java_libraries(find_java().home)[0])
    jpype.startJVM("-Djava.awt.headless=true", jvmpath=library, classpath=[str(jar) for jar in jars])
    pool = jpype.JClass("javassist.ClassPool")(True)
    gateway = pool.makeClass("net.imagej.ImageJ", pool.get("org.scijava.SciJava"))
    gateway.getClassFile().setMajorVersion(55)
    for constructor in (
        "public ImageJ() { super(); }",
        "public ImageJ(org.scijava.Context context) { super(context); }",
    ):
        gateway.addConstructor(jpype.JClass("javassist.CtNewConstructor").make(constructor, gateway))
    gateway.addMethod(jpype.JClass("javassist.CtNewMethod").make(VERSION, gateway))
    gateway.makeClassInitializer().setBody(PATCH)
    legacy = pool.makeClass("net.imagej.legacy.LegacyService")  # by which ImageJ2 is told from SciJava alone
    legacy.getClassFile().setMajorVersion(55)
    with zipfile.ZipFile(folder / "jars" / "imagej-2.17.0.jar", "w") as jar:
        for made in (gateway, legacy):
            jar.writestr(str(made.getName()).replace(".", "/") + ".class", bytes(made.toBytecode()))
    return folder


if __name__ == "__main__":
    make(Path(sys.argv[1]))
