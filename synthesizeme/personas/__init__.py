"""The paper's method: pairs of one user in, a profile out."""

from synthesizeme.personas.synthesize_me import SynthesizeMe

__all__ = ["SynthesizeMe"]
