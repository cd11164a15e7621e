"""Errors that concern operators."""

from __future__ import annotations


class StructureError(TypeError):
    """An operator lacks a capability (adjoint, diagonal, entries) or an algorithm needs a flag it does not claim.

    The message says what was needed, which operator was given and what to do.
    """
