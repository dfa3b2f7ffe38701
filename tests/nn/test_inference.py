from __future__ import annotations

import pytest
import torch
from torch import nn

from fijibridge.nn.inference import blank_images, evaluation, trial


def test_modes_come_back_after_an_error():
    net = nn.Sequential(nn.Dropout(), nn.Dropout().eval())
    with pytest.raises(ValueError, match="stop"), evaluation(net):
        raise ValueError("stop")
    assert [module.training for module in net.modules()] == [True, True, False]


def test_a_trial_draws_no_random_numbers():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    with trial(nn.Identity()):
        torch.rand(3)
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)


def test_blank_images_have_the_type_of_the_weights():
    found = blank_images(nn.Conv2d(3, 1, 1).double(), 2, 3, (4, 5))
    assert (found.shape, found.dtype) == ((2, 3, 4, 5), torch.float64)
    assert blank_images(nn.Identity(), 0, 1, (2, 2)).dtype == torch.float32
