"""`stgt synthesize`: make a dataset of faces that need no licence."""

from stgt.command import argument_parser, run

DESCRIPTION = (
    "Render a dataset of synthetic faces that show eight expressions (neutral, anger, contempt, disgust, fear, "
    "happiness, sadness, surprise), weak and strong, silent and talking: heads of varied age, gender and ancestry, "
    "H.264 clips, labels, and the true facial actions of every frame. The same seed gives the same clips; an "
    "interrupted run goes on where it stopped. --stills makes single pictures, --blends two expressions in one face."
)
#: What options mean without a value.
USUAL = {"--stills": "png", "--blends": "0.5"}


def main(arguments: list[str]) -> int:
    """Parse, make the clips under one progress bar, print where they are."""
    from stgt.synthetic.progress import clip_bar
    from stgt.synthetic.writing import SynthesisConfig, synthesize

    parser = argument_parser("synthesize", DESCRIPTION)
    parser.add_class_arguments(SynthesisConfig)
    config = SynthesisConfig(**parser.parse_args(with_values(arguments)).as_dict())

    with clip_bar("synthesize") as progress:
        result = synthesize(config, progress)
    what = "pictures" if config.stills else "clips"
    print(
        f"{result.clips} {what} in {result.folder} ({result.made} made now); labels in {result.folder / 'labels.csv'}"
    )
    return 0


def with_values(arguments: list[str]) -> list[str]:
    """``--stills`` and ``--blends`` without a value -> with their usual one."""
    following = [*arguments[1:], "--"]
    return [
        f"{argument}={USUAL[argument]}" if argument in USUAL and after.startswith("--") else argument
        for argument, after in zip(arguments, following, strict=True)
    ]


if __name__ == "__main__":
    run(main)
