"""The rules of maild, pure: the standard library only, no clock, no network, no database."""
