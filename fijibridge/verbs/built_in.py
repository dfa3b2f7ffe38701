"""The verbs of fijibridge itself, registered when verbs are first needed."""

from fijibridge.verbs.registry import load_on_first_use


@load_on_first_use
def _load() -> None:
    from fijibridge.verbs import dataset, prediction, segmentation, training  # noqa: F401 - importing registers them
