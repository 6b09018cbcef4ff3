"""Served models of images: what both kinds have in common (`server`), the objects in images, and their classes."""
