"""`python -m training prepare-scenes`."""


def prepare(options):
    """Reads and checks the pictures.

    Args:
        options: The parsed command line.

    Returns:
        A function that writes the data set.

    Raises:
        ValueError: For bad input, before anything is written.
    """
    from training.datasets.objects import store_composed

    write = store_composed(
        options.pictures,
        options.name,
        size=options.size,
        train=options.train,
        test=options.test,
        objects=tuple(options.objects),
        seed=options.seed,
        data_dir=options.data_dir,
    )

    def store():
        print(f"Prepared: {write()}", flush=True)

    return store
