"""Life and death of a session, each in a Python of its own with a time limit: the table in docs/design.md."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

START = """
import os, sys, threading, time
import numpy as np, jpype
import fijibridge as fb
WHERE = os.environ.get("FIJIBRIDGE_TEST_FIJI", "embedded")
fiji = fb.Fiji.start(WHERE, mode="headless")
"""


def run(python, body, **options):
    return python(START + textwrap.dedent(body), **options)


@pytest.mark.jvm
def test_a_script_ends_though_imagej_leaves_threads_behind(python):
    began = time.monotonic()
    run(python, """
        fiji.show(np.zeros((50, 50), np.uint8), name="a")
        fiji.run_macro("run('Gaussian Blur...', 'sigma=2'); run('Median...', 'radius=2');")
        threads = jpype.JClass("java.lang.Thread").getAllStackTraces().keySet()
        assert any("pool" in str(t.getName()) and not t.isDaemon() for t in threads)
    """, timeout=60)  # fmt: skip
    assert time.monotonic() - began < 40


@pytest.mark.jvm
def test_system_exit_of_a_plugin_ends_neither_python_nor_the_session(python):
    done = run(python, """
        def plugin():
            jpype.JClass("java.lang.System").exit(3)

        threading.Thread(target=plugin, daemon=True).start()
        time.sleep(2)
        fiji.show(np.full((5, 5), 7, np.uint8), name="a")
        assert fiji.array("a").sum() == 175 and fiji.run_macro("return '' + getPixel(1, 1);") == "7"
        try:
            print("python goes on")
        finally:
            sys.exit(5)
    """, status=5)  # fmt: skip
    assert "python goes on" in done.stdout
    assert "called System.exit, which would end the process" in done.stderr


@pytest.mark.jvm
def test_ctrl_c_is_pythons(tmp_path):
    code = START + textwrap.dedent("""
        try:
            print("ready", flush=True)
            time.sleep(30)
        except KeyboardInterrupt:
            fiji.show(np.zeros((4, 4), np.uint8), name="a")
            print("interrupted", fiji.titles(), flush=True)
        finally:
            print("finally", flush=True)
    """)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert rest.split("\n")[:2] == ["interrupted ['a']", "finally"]
    assert process.returncode == 0


@pytest.mark.jvm
def test_sigterm_still_ends_the_process():
    code = START + "print('ready', flush=True)\ntime.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    process.terminate()
    assert process.wait(20) == -signal.SIGTERM


@pytest.mark.jvm
@pytest.mark.skipif(not hasattr(signal, "SIGKILL") or sys.platform == "win32", reason="there is no fork here")
def test_a_forked_process_is_told_to_spawn(python):
    done = run(python, """
        import os
        child = os.fork()
        if child == 0:
            try:
                fiji.titles()
            except fb.FijiBridgeError as error:
                print("in the child:", error, flush=True)
            try:
                fb.Fiji.start(WHERE, mode="headless")
            except fb.FijiBridgeError:
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        fiji.show(np.zeros((3, 3), np.uint8), name="the parent goes on")
    """)  # fmt: skip
    assert "'spawn'" in done.stdout


@pytest.mark.jvm
def test_a_spawned_process_has_a_fiji_of_its_own(where, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(f"WHERE = {where!r}\n" + textwrap.dedent("""
        import multiprocessing
        import numpy as np
        import fijibridge as fb

        def work(value):
            fiji = fb.Fiji.start(WHERE, mode="headless")
            fiji.show(np.full((3, 3), value, np.uint8), name="mine")
            return int(fiji.array("mine").sum())

        if __name__ == "__main__":
            fiji = fb.Fiji.start(WHERE, mode="headless")
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(work, [2]), fiji.titles())
    """))  # fmt: skip
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[18] []"


@pytest.mark.jvm
def test_a_crashed_jvm_leaves_a_report(python, tmp_path):
    done = run(python, """
        field = jpype.JClass("sun.misc.Unsafe").class_.getDeclaredField("theUnsafe")
        field.setAccessible(True)
        print("before", flush=True)
        field.get(None).putAddress(0, 0)
    """, status=-signal.SIGABRT, timeout=60)  # fmt: skip
    assert "before" in done.stdout
    assert "fatal error has been detected by the Java Runtime" in done.stdout
    report = re.search(r"^# (.*fijibridge_java_crash_\d+\.log)$", done.stdout, re.MULTILINE)
    assert report is not None
    Path(report[1]).unlink()


@pytest.mark.jvm
def test_eight_threads_push_and_pull_at_once_also_the_same_image(python):
    run(python, """
        from concurrent.futures import ThreadPoolExecutor
        shared = np.random.default_rng(0).integers(0, 60000, (6, 300, 400)).astype(np.uint16)
        fiji.show(shared, name="shared")

        def work(number):
            rng = np.random.default_rng(number)
            for turn in range(10):
                mine = rng.random((4, 200, 300)).astype(np.float32)
                name = f"{number} {turn}"
                fiji.show(mine, name=name)
                assert (fiji.array(name) == mine).all()
                assert (fiji.array("shared") == shared).all()
                fiji.close_image(name)
            return number

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(work, range(8))) == list(range(8))
        assert fiji.titles() == ["shared"]
    """)  # fmt: skip


@pytest.mark.jvm
def test_images_made_in_a_loop_do_not_pile_up(python):
    run(python, """
        runtime = jpype.JClass("java.lang.Runtime").getRuntime()
        def used():
            import gc
            gc.collect()
            for _ in range(3):
                runtime.gc()
                time.sleep(0.1)
            return (runtime.totalMemory() - runtime.freeMemory()) / 2**20

        import resource
        def resident():
            with open("/proc/self/statm") as statm:
                return int(statm.read().split()[1]) * resource.getpagesize() / 2**20

        labels = np.kron(np.arange(1, 101).reshape(10, 10), np.ones((60, 60), int))
        def cycle(i):
            fiji.show(np.full((4, 600, 600), i % 200, np.uint8), name=f"image {i}")
            fiji.image(f"image {i}")
            fiji.add_rois(fb.labels_to_rois(labels), over=f"image {i}")
            fiji.rois("overlay", title=f"image {i}")
            fiji.close_image(f"image {i}")

        for i in range(20):
            cycle(i)
        java, process = used(), resident()
        for i in range(200):
            cycle(i)
        grown = used() - java
        assert grown < 5, f"the JVM's heap grew by {grown:.1f} MiB"
        assert resident() - process < 300, "nor does the process grow; 200 such images are 288 MB"
    """, timeout=300)  # fmt: skip


@pytest.mark.jvm
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_training_leaves_javas_signal_handlers_alone(python):
    """Lightning would set SIGSEGV to its default, and the JVM would die of its next null check."""
    run(python, """
        def caught():
            with open("/proc/self/status") as status:
                mask = next(int(line.split()[1], 16) for line in status if line.startswith("SigCgt"))
            return [number for number in (4, 7, 8, 11) if mask >> (number - 1) & 1]

        before = caught()
        assert 11 in before
        image = np.random.default_rng(0).random((64, 64)).astype(np.float32)
        target = (image > 0.5).astype(np.uint8)
        fb.train(fb.UNet(depth=1, width=2), [(image, target)], epochs=1, batches=2, patch=(32, 32))
        assert caught() == before
    """)  # fmt: skip
