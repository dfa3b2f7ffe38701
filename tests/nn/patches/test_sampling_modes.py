from __future__ import annotations

import inspect
from typing import get_args

import pytest

from fijibridge.errors import RenamedWarning, TrainingError
from fijibridge.nn import patches
from fijibridge.nn.patches import PatchSampler, density, places
from fijibridge.nn.patches.sampling_modes import DEFAULT, MODES, Sampling, mode_list, sampling_mode


def test_type_and_docs_list_the_modes():
    assert get_args(Sampling) == tuple(MODES)
    assert mode_list() in inspect.getdoc(PatchSampler).replace("\n    - ", "\n- ")
    assert DEFAULT in MODES


@pytest.mark.parametrize("mode", MODES.values(), ids=list(MODES))
def test_each_mode_names_a_density(mode):
    assert mode.density_function() is getattr(density, mode.density)


def test_a_typing_mistake_gets_a_hint():
    with pytest.raises(TrainingError, match=r"sampling is 'membrane'; expected one of .*; did you mean 'membranes'\?"):
        sampling_mode("membrane")


def test_the_registry_loads_no_array_library(python):
    """Verbs and command line read it for their help."""
    python(
        """
        import sys
        from fijibridge.nn.patches.sampling_modes import MODES
        assert not {"torch", "numpy", "scipy"} & set(sys.modules)
        """
    )


@pytest.mark.parametrize("module", [patches, places])
def test_the_old_name_of_weight_errors(module):
    with pytest.warns(RenamedWarning, match=r"error_worth was renamed to fijibridge.nn.patches.density.weight_errors"):
        assert module.error_worth is density.weight_errors
