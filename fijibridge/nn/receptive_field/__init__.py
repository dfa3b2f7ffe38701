"""Receptive field of a network: computed layer by layer, and confirmed by its gradient."""

from fijibridge.nn.receptive_field.field import ReceptiveField, confirm_receptive_field, receptive_field

__all__ = ["ReceptiveField", "confirm_receptive_field", "receptive_field"]
