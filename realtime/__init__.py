"""The live program: a sliding window over a camera or a video, imported as ``stgt.realtime``."""
