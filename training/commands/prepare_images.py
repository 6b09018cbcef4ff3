"""`python -m training prepare-images`."""


def prepare(options):
    """Reads and checks the files.

    Args:
        options: The parsed command line.

    Returns:
        A function that writes the data set.

    Raises:
        ValueError: For bad input, before anything is written.
    """
    from training.datasets.images import store_jpegs

    write = store_jpegs(options.train, options.test, options.name, options.data_dir)

    def store():
        print(f"Prepared: {write()}", flush=True)

    return store
