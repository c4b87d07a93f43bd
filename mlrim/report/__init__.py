"""What a prediction leaves behind: tables, figures, and files that other programs read."""
