"""`stgt synthesize`: make a dataset of faces that need no licence."""

from stgt.command import argument_parser, run

DESCRIPTION = (
    "Render a dataset of synthetic faces that show eight expressions (neutral, anger, contempt, disgust, fear, "
    "happiness, sadness, surprise), weak and strong, silent and talking: heads of varied age, gender and ancestry, "
    "H.264 clips, labels, and the true facial actions of every frame. The same seed gives the same clips; an "
    "interrupted run goes on where it stopped."
)


def main(arguments: list[str]) -> int:
    """Parse, make the clips under one progress bar, print where they are."""
    from stgt.synthetic.progress import clip_bar
    from stgt.synthetic.writing import SynthesisConfig, synthesize

    parser = argument_parser("synthesize", DESCRIPTION)
    parser.add_class_arguments(SynthesisConfig)
    config = SynthesisConfig(**parser.parse_args(arguments).as_dict())

    with clip_bar("synthesize") as progress:
        result = synthesize(config, progress)
    print(f"{result.clips} clips in {result.folder} ({result.made} made now); labels in {result.folder / 'labels.csv'}")
    return 0


if __name__ == "__main__":
    run(main)
