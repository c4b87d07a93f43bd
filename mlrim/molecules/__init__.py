"""From the structure of a molecule to its vibrations: reading, relaxation, the story that predict.py tells."""
