"""How well real faces are read: real clips, portraits, a talking face, and two peers on the same pixels."""
