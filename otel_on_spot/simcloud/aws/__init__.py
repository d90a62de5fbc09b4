"""Handlers over moto, one module a concern; ``registry`` knows them all."""
