"""Stands for the compiled module."""
