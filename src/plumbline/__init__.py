"""Plumbline: do attention weights explain a transformer, or do post-hoc methods explain it better?"""

__version__ = "0.1.0"
