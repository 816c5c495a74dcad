"""What this machine can do: every figure measured against another one in the same run, because absolute times drift."""
