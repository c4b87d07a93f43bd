"""Vibrations straight from the structure: trained direct networks applied to crystals, ordered or not."""
