"""maild: accepts outbound mail durably, decides, delivers, explains."""

__version__ = "0.1.0"
