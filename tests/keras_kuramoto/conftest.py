import os

# Most of the time on JAX is LLVM's, and the programs run only once. The numbers stay float32's.
if os.environ.get("KERAS_BACKEND") == "jax":
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")

import keras

if keras.backend.backend() == "torch":
    import torch

    # The tensors are tiny: on a busy machine several threads wait for each other most of the time.
    torch.set_num_threads(1)
