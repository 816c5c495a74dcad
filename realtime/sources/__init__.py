"""Where frames come from: cameras, network streams, pipes, files; opened again when they are lost."""
