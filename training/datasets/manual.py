"""Files that a publisher provides and a person downloads, for builders of TensorFlow Datasets."""

import pathlib


def manual_files(dl_manager, names, source):
    """Paths of files or folders that were put into the directory for manual downloads.

    Args:
        dl_manager: The download manager of TensorFlow Datasets that a builder is given.
        names: Their names, which may have folders in them.
        source: Where they come from, for a person.

    Returns:
        List of `pathlib.Path`.

    Raises:
        ValueError: If one is missing, which says which ones, where they come from and where they belong.
    """
    try:
        folder = pathlib.Path(dl_manager.manual_dir)
    except AssertionError:
        # TFDS's way to say that it does not exist or is empty.
        folder = pathlib.Path(dl_manager.download_dir) / "manual"
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        raise ValueError(f"Missing: {', '.join(missing)}. Get {source}, and put what is missing into '{folder}'.")
    return [folder / name for name in names]
