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
    from stgt.synthetic.writing import SynthesisConfig, synthesize

    parser = argument_parser("synthesize", DESCRIPTION)
    parser.add_class_arguments(SynthesisConfig)
    config = SynthesisConfig(**parser.parse_args(arguments).as_dict())

    from tqdm import tqdm

    with tqdm(desc="synthesize", unit="clip", dynamic_ncols=True) as bar:

        def show(done: int, total: int) -> None:
            if bar.total is None:
                bar.total, bar.initial = total, done  # clips of an earlier run must not look like speed
            bar.n = done
            bar.refresh()

        result = synthesize(config, show)
    print(f"{result.clips} clips in {result.folder} ({result.made} made now); labels in {result.folder / 'labels.csv'}")
    return 0


if __name__ == "__main__":
    run(main)
