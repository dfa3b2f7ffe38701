"""ImageJ2 Datasets follow an image that Python changed; plain ImageJ has no Datasets."""

from __future__ import annotations

import jpype
import numpy as np
import pytest

import fijibridge as fb


def dataset_of(fiji, title):
    """Return the Dataset of an open image; None in plain ImageJ."""
    if fiji.flavor == "embedded":
        return None
    return fiji.ij.convert().convert(fiji._find(title), jpype.JClass("net.imagej.Dataset"))


def assert_seen(fiji, title, dataset):
    """Check all pixels, sides and axes of a Dataset against those that Python sees."""
    array = fiji.array(title)
    if dataset is None:
        return
    assert dataset_of(fiji, title).equals(dataset), "who holds it, holds the one that is up to date"
    sides = [int(dataset.dimension(d)) for d in range(dataset.numDimensions())]
    image = fiji.image(title).transpose(*(d for d in "tzcyx" if d in fiji.image(title).dims))
    assert sides == list(image.shape[::-1])
    access = dataset.randomAccess()
    for place in np.ndindex(*image.shape):
        access.setPosition(jpype.JArray(jpype.JLong)(place[::-1]))
        assert access.get().getRealDouble() == image.values[place]
    assert array.size == np.prod(sides)
    properties = [str(name) for name in dataset.getProperties().keySet()]
    assert "ij1-image-plus" not in properties, "pyimagej's from_java would go round and round"


@pytest.mark.parametrize("axes", ["yx", "zyx", "cyx", "tczyx"])
def test_datasets_follow_what_python_shows_and_writes(clean, axes):
    sizes = {"t": 2, "c": 2, "z": 3, "y": 4, "x": 5}
    shape = [sizes[d] for d in axes]
    image = fb.as_image(np.zeros(shape, np.uint16), axes, pixel_size=0.5, unit="um")
    clean.show(image, name="a")
    dataset = dataset_of(clean, "a")
    image.values[:] = np.arange(image.size).reshape(shape)
    clean.show(image, name="a")
    assert_seen(clean, "a", dataset)
    pulled = clean.image("a")
    pulled.values[:] += 1
    clean.write(pulled)
    assert_seen(clean, "a", dataset)
    part = clean.image("a", region={"y": slice(1, 3), "x": slice(2, 3)})
    part.values[:] = 999
    clean.write(part)
    assert_seen(clean, "a", dataset)
    clean.show(image[..., :3, :4].astype(np.float32), name="a")
    assert_seen(clean, "a", dataset_of(clean, "a"))


def test_datasets_follow_label_images(clean):
    labels = np.arange(20, dtype=np.uint16).reshape(4, 5)
    clean.show_labels(labels, name="cells")
    dataset = dataset_of(clean, "cells")
    clean.show_labels(labels[::-1] * 20, name="cells")
    assert_seen(clean, "cells", dataset)


def test_what_is_drawn_and_selected_stays(clean):
    clean.show(np.zeros((9, 9), np.uint8), name="a")
    dataset = dataset_of(clean, "a")
    clean.add_rois([fb.Roi.rectangle(1, 1, 2, 2, name="x")], "a")
    clean.run_macro("selectImage('a'); makeRectangle(4, 4, 3, 3);")
    pulled = clean.image("a")
    clean.write(pulled + np.uint8(1))
    clean.show(pulled, name="a", overwrite=True)
    names = [roi.name for roi in clean.rois("overlay", "a")]
    assert names[0] == "x", "imagej-legacy may add the selection, at any time"
    assert clean.rois("image", "a")[0].bounds == (4, 4, 7, 7)
    assert_seen(clean, "a", dataset)
