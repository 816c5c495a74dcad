"""What all commands share: the argument parser, and how an error reaches the user."""

import contextlib
import dataclasses
import difflib
import errno
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from stgt.errors import StgtError
from stgt.telemetry import refuse_telemetry


def run(main: Callable[[list[str]], int | None], arguments: Sequence[str] | None = None) -> None:
    """Call ``main(arguments)`` and end the process: 0 done, 2 bad input, 130 interrupted.

    A bad input is printed as one sentence on stderr, without a traceback. Anything else that escapes is a defect of the
    program and keeps its traceback.
    """
    # Threads that wait shall sleep, not spin: where other programs want the cores, too, spinning made training ten
    # times slower. Read by OpenMP when torch is first imported, which happens inside main.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    refuse_telemetry()
    try:
        code = main(list(sys.argv[1:] if arguments is None else arguments))
    except StgtError as error:
        code = fail(str(error))
    except KeyboardInterrupt:
        print("\nstgt: interrupted; what was finished is kept, the same command goes on from there", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # The reader of our output went away (stgt … | head): not an error, and stdout must not be flushed again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        where = f" ({error.filename})" if error.filename else ""
        code = fail(f"{error.strerror}{where}; make room or choose another folder, then run the same command again")
    sys.exit(code or 0)


def fail(sentence: str) -> int:
    """Print ``sentence`` as an error and give the exit code of bad input."""
    print(f"stgt: error: {sentence}", file=sys.stderr)
    return 2


@contextlib.contextmanager
def said_once() -> Iterator[None]:
    """Of the processes that ``torchrun`` or SLURM have started for one run, only the first speaks within the block.

    An error is raised and told by whoever meets it.
    """
    number = os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))
    if number == "0":
        yield
        return
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def argument_parser(command: str, description: str, epilog: str | None = None):  # noqa: ANN201 - jsonargparse is imported late
    """A jsonargparse parser whose errors are one sentence with a suggestion for a misspelled option or recipe key."""
    import jsonargparse

    # The text of an option is the docstring below its dataclass field.
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)

    class Parser(jsonargparse.ArgumentParser):
        def error(self, message: str, ex: Exception | None = None) -> None:  # type: ignore[override]
            raise StgtError(explain(message, known_options(self))) from ex

    return Parser(prog=f"stgt {command}", description=description, epilog=epilog, parse_as_dict=False)


def known_options(parser) -> list[str]:  # noqa: ANN001
    """Every ``--option`` that ``parser`` knows."""
    return [option for action in parser._actions for option in action.option_strings if option.startswith("--")]


def divide(arguments: Sequence[str], kind: type, shared: Collection[str] = ()) -> tuple[list[str], list[str]]:
    """The options of a command that trains, and those that it hands on to its trainings.

    Args:
        arguments: of the command line.
        kind: config dataclass of the command: its fields are the command's own options.
        shared: which of them are the trainings', too.
    """
    own: list[str] = []
    training: list[str] = []
    names = {entry.name for entry in dataclasses.fields(kind)} | {"help"}
    targets: list[list[str]] = [own]
    for argument in arguments:
        option = argument.partition("=")[0].removeprefix("--")
        if argument in ("-h", "--help") or (argument.startswith("--") and option in names):
            targets = [own, training] if option in shared else [own]
        elif argument.startswith("--"):
            targets = [training]
        for target in targets:
            target.append(argument)
    return own, training


def option_in(arguments: Sequence[str], name: str) -> str | None:
    """What a command line or its recipe gives for ``--name``; read before the parser, because it sets defaults.

    ``model.name`` in a recipe is the key ``name`` below ``model``.
    """
    import yaml

    found = None
    for index, argument in enumerate(arguments):
        option, equals, value = argument.partition("=")
        value = value if equals else (arguments[index + 1] if index + 1 < len(arguments) else "")
        if option == f"--{name}":
            found = value
        elif option == "--config" and Path(value).is_file():  # what is not a file, or not YAML, the parser reports
            with contextlib.suppress(yaml.YAMLError):
                given = yaml.safe_load(Path(value).read_text(encoding="utf-8"))
                for key in name.split("."):
                    given = given.get(key) if isinstance(given, dict) else None
                found = found if given is None else given
    return found


def explain(message: str, options: Sequence[str]) -> str:
    """Shorten a parser's ``message`` to its first sentence and add the nearest known option."""
    text = " ".join(message.split())
    # A key of a recipe: told with its group, so that it can be compared with whole option names.
    text = re.sub(r"Group '([^']+)' does not accept option '([^']+)'", r"Key '\1.\2' is not expected", text)
    for pattern in (
        r"[Uu]nrecognized arguments: (.+)",
        r"Key '([^']+)' is not expected",
        r"No action for key \"?'?([\w.+-]+)",
    ):
        match = re.search(pattern, text)
        if match:
            unknown = match.group(1).split()[0].split("=")[0]
            near = nearest_option(unknown.lstrip("-"), options)
            return f"unknown option {unknown!r}; " + (f"did you mean {near}?" if near else "--help lists them")
    return text


def nearest_option(name: str, options: Sequence[str]) -> str | None:
    """The option that ``name`` most likely meant: by its whole dotted name, or by the last part alone."""
    whole = difflib.get_close_matches("--" + name, options, n=1, cutoff=0.6)
    if whole:
        return whole[0]
    by_last = {option.rsplit(".", 1)[-1].lstrip("-"): option for option in options}
    last = difflib.get_close_matches(name.rsplit(".", 1)[-1], by_last, n=1, cutoff=0.6)
    return by_last[last[0]] if last else None
