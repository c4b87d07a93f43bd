"""How far predictions may be off: members that disagree, calibrated errors, and how far the training set reaches."""
