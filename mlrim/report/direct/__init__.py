"""What predict.py writes of crystals whose vibrations come straight from the structure."""
