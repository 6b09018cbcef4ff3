"""PyTorch's files of weights."""

import pickle


def read_checkpoint(path):
    """What a `.pth` file holds, read without running code from it.

    Args:
        path: The file.

    Returns:
        The object in it; tensors are on the CPU.

    Raises:
        ValueError: If PyTorch is not installed or the file is no checkpoint of weights alone.
        OSError: If the file can't be read.
    """
    try:
        import torch
    except ImportError:
        raise ValueError("Reading a checkpoint needs PyTorch: pip install torch==2.13.0") from None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        reason = str(error).strip().splitlines()
        raise ValueError(
            f"'{path}' is not a PyTorch checkpoint of weights alone: {reason[0] if reason else type(error).__name__}"
        ) from None
