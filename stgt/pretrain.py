"""``stgt pretrain``: weights for real faces, from generated ones alone."""

import shlex

from stgt.command import argument_parser, run
from stgt.config import from_dict

DESCRIPTION = """Train a model on generated streams of synthetic people, choose its epoch and its temperature on
rendered clips of other people, and score it on rendered clips of yet others. No data is needed."""

EPILOG = "Interrupted, the same command goes on where it was. Recipe: experiments/pretraining.yaml."


def main(arguments: list[str]) -> None:
    """Run the command."""
    from stgt.pretraining.config import PretrainConfig

    parser = argument_parser("pretrain", DESCRIPTION, EPILOG)
    parser.add_argument("--config", action="config", help="Recipe (YAML); options after it override its keys.")
    parser.add_class_arguments(PretrainConfig, as_group=False)
    values = parser.parse_args(arguments).as_dict()
    values.pop("config")
    config = from_dict(PretrainConfig, values)

    # Lightning first: it must be loaded before the renderer's graphics library.
    from stgt.pretraining.run import pretrain

    pretrain(config, "stgt pretrain " + shlex.join(arguments))


if __name__ == "__main__":
    run(main)
