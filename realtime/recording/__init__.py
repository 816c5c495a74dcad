"""What a session leaves behind, and playing it again."""
