"""What runs a model: PyTorch, or ONNX Runtime on an exported file, behind one surface.

``engine.py`` is that surface and PyTorch's side of it, ``runtime.py`` ONNX Runtime's; ``graph.py`` makes an ONNX graph
of a model, ``conversion.py`` an ONNX file of a checkpoint, ``exported.py`` writes and reads it, ``parity.py`` holds it
against PyTorch, ``choice.py`` finds the faster engine, ``quantised.py`` makes the file smaller.
"""
