from __future__ import annotations

import numpy as np
import pytest
import torch

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import RenamedWarning, TrainingError
from fijibridge.nn import losses
from fijibridge.nn.losses import LOSSES, Loss, segmentation_loss

HEADS = {"classes": slice(0, 2), "distance": slice(2, 3), "affinity": slice(3, 5)}


def random_batch(seed=0, size=(2, 2, 6, 6)):
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(size, generator=rng)
    y = torch.randint(0, size[1], (size[0], *size[2:]), generator=rng)
    return logits, y, torch.rand(y.shape, generator=rng)


@pytest.mark.parametrize("kind", ["cross_entropy", "dice"])
def test_the_sum_is_the_sum_of_its_parts(kind):
    batch = random_batch()
    other = {"cross_entropy": "dice", "dice": "cross_entropy"}[kind]
    assert segmentation_loss(*batch) == pytest.approx(
        float(segmentation_loss(*batch, kind) + segmentation_loss(*batch, other))
    )


def test_cross_entropy_by_numpy():
    logits, y, weight = random_batch()
    p = np.exp(logits.double().numpy())
    p /= p.sum(1, keepdims=True)
    each = -np.log(np.take_along_axis(p, y.numpy()[:, None], 1)[:, 0])
    expected = (each * weight.numpy()).sum() / weight.numpy().sum()
    assert float(segmentation_loss(logits, y, weight, "cross_entropy")) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("unknown", ["class id", "weight"])
def test_what_is_unknown_counts_nowhere(unknown):
    logits, y, weight = random_batch(size=(2, 5, 6, 6))
    y = torch.stack([(y % 2).float(), torch.rand(y.shape) * 9, torch.randint(0, 4, y.shape).float()], 1)
    if unknown == "class id":
        y[:, 0, 2:4] = IGNORE
    else:
        weight[:, 2:4] = 0
    loss = Loss(outputs=HEADS)
    before = loss(logits, y, weight)
    other, changed = logits.clone(), y.clone()
    other[:, :, 2:4] = 1e3
    changed[:, 1:, 2:4] = float("nan")
    if unknown == "weight":
        changed[:, 0, 2:4] = 1
    logits.requires_grad_()
    assert torch.equal(loss(other, changed, weight), before)
    loss(logits, changed, weight).backward()
    assert logits.grad is not None
    assert (logits.grad[:, :, 2:4] == 0).all()
    assert torch.isfinite(logits.grad).all()


def test_right_answers_of_all_heads_cost_nothing():
    cells = torch.zeros(1, 8, 8)
    cells[:, 1:4], cells[:, 5:8] = 1, 2
    classes = (cells == 0).float()
    distance = torch.rand(1, 8, 8) * 5
    output = torch.full((1, 5, 8, 8), -50.0)
    output[:, 0][classes == 0], output[:, 1][classes == 1] = 50, 50
    output[:, 2] = distance
    for axis in (1, 2):
        same = (cells == cells.roll(1, axis)) & (cells > 0)
        output[:, 2 + axis][same] = 50
    y = torch.stack([classes, distance, cells], 1)
    right = Loss(outputs=HEADS)(output, y, torch.ones(1, 8, 8))
    assert float(right) < 1e-5
    output[:, 3] *= -1
    assert float(Loss(outputs=HEADS)(output, y, torch.ones(1, 8, 8))) > 10


def test_the_target_is_cropped_to_a_smaller_output():
    logits, y, weight = random_batch()
    inner = slice(1, -1)
    cropped = segmentation_loss(logits[:, :, inner, inner], y[:, inner, inner], weight[:, inner, inner])
    assert torch.equal(Loss()(logits[:, :, inner, inner], y, weight), cropped)


def test_loss_by_hand():
    logits = torch.tensor([[[[0.0, 2.0]], [[1.0, -1.0]]]])  # (1, 2, 1, 2)
    target, weight = torch.tensor([[[1, 0]]]), torch.tensor([[[3.0, 1.0]]])
    p = torch.softmax(logits, 1)[0, :, 0]
    entropy = (-3 * torch.log(p[1, 0]) - torch.log(p[0, 1])) / 4
    dice = [
        (2 * (3 * p[0, 0] * 0 + p[0, 1]) + 1) / (3 * p[0, 0] + p[0, 1] + 1 + 1),
        (2 * 3 * p[1, 0] + 1) / (3 * (p[1, 0] + 1) + p[1, 1] + 1),
    ]
    expected = entropy + 1 - sum(dice) / 2
    assert float(segmentation_loss(logits, target, weight)) == pytest.approx(float(expected), rel=1e-6)


def test_pixels_of_unknown_truth_change_nothing():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 2, 6, 6), torch.randint(0, 2, (2, 6, 6))
    target[:, 3:] = IGNORE
    other = logits.clone()
    other[:, :, 3:] = 50 * torch.randn(2, 2, 3, 6)
    weight = torch.ones(2, 6, 6)
    assert torch.allclose(segmentation_loss(logits, target, weight), segmentation_loss(other, target, weight))


def test_each_loss_is_defined_once_with_its_head_and_a_summary():
    assert {name: loss.head for name, loss in LOSSES.items()} == {
        "cross_entropy+dice": "classes", "cross_entropy": "classes", "dice": "classes",
        "relative_distance": "distance", "affinity_entropy": "affinity",
    }  # fmt: skip
    assert all(loss.name == name and loss.summary for name, loss in LOSSES.items())


def test_a_loss_that_is_not_defined():
    with pytest.raises(TrainingError, match=r"loss is 'dice\+'; expected one of .*; did you mean 'dice'"):
        Loss("dice+")


def test_the_old_name_of_its_type():
    with pytest.warns(RenamedWarning, match="losses.Kind was renamed"):
        assert losses.Kind is losses.LossName
