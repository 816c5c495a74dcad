"""`stgt web`: a page for photos, videos and the camera, and the API behind it; imported as ``stgt.realtime.web``."""
