"""The verbs of fijibridge itself. Their modules register them when verbs are first asked for."""

from fijibridge.verbs.registry import load_on_first_use


@load_on_first_use
def _load() -> None:
    from fijibridge.verbs import dataset, prediction, segmentation, training  # noqa: F401 - importing registers them
