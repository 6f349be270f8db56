"""What is in the machines, read from the machines themselves; nothing on them is changed."""
