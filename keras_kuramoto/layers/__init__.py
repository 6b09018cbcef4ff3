"""Keras layers, and a table of the whole library by purpose. Names of other modules are written with the module.

| Neurons that oscillate (AKOrN) | |
| --- | --- |
| oscillators that bind by their coupling, driven by a stimulus | `KuramotoLayer` |
| a number of steps that ends where nothing moves | `UntilRest` |
| oscillator start: at stimuli or at random; frequencies | `InitialOscillators`, `NaturalFrequency` |
| features of oscillators, whichever way all have turned | `OscillatorReadout` |
| a block (Kuramoto layer, readout, network) and the trunk of a model | `KuramotoBlock`, `KuramotoNetwork` |
| from a block to the next one: stimuli, or both at a new resolution | `Transition`, `StimuliTransition`, `SharedTransition` |
| energies of oscillators, for training, voting and plots | `energies.lyapunov_energy`, `energies.voting_energy` |
| the same for each position | `energies.lyapunov_energy_density`, `energies.voting_energy_density`, `energies.sum_over_positions` |
| Sudoku: models, presets with trained weights, metrics | `models.SudokuModel`, `models.AKOrNSudoku`, `metrics.BoardAccuracy`, `metrics.BlankCellAccuracy` |
| objects in images without labels; the baselines | `models.ObjectsModel`, `models.AKOrNObjects`, `models.IterativeObjects`, `models.ImageModel` |
| classifiers of images; the baselines | `models.ImageClassifier`, `models.AKOrNClassifier`, `models.IterativeClassifier`, `models.ResNetClassifier`, `models.ViTClassifier` |
| the baselines for Sudoku: a transformer, iterative self-attention | `models.TransformerSudoku`, `TransformerBlock`, `Repeat`, `Residual` |
| how well objects are found, instances or classes: FG-ARI, mean best overlap | `metrics.foreground_ari`, `metrics.mean_best_overlap`, `metrics.mean_over_images`, `metrics.class_labels` |
| how far confidences can be trusted | `metrics.ExpectedCalibrationError` |

| Couplings between units (connectivities) | |
| --- | --- |
| base class of your own | `Connectivity` |
| all to all | `DenseConnectivity`, `SymmetricDenseConnectivity` |
| convolution, trained or fixed | `ConvConnectivity`, `SymmetricConvConnectivity`, `FixedKernelConnectivity`, `gaussian_kernel`, `random_kernel` |
| self-attention | `AttentionConnectivity`, `SymmetricAttentionConnectivity` |
| any of these, and a network at each position after it | `FeedForwardConnectivity` |
| position encodings of attention; a vector added to each position once | `PositionEncoding`, `GTA`, `RotaryEncoding`, `AbsoluteEncoding`, `BoardEncoding`, `PositionEmbedding` |
| layers of units: between them, within them | `HierarchicalConnectivity`, `HierarchicalConvConnectivity`, `LateralConnectivity` |

| Associative memories in continuous time | |
| --- | --- |
| base class of your own | `Memory` |
| threshold units: the continuous Hopfield network | `HopfieldMemory` |
| oscillators as a memory, over all pairs or a graph | `KuramotoMemory` |
| both under one Lyapunov function | `HopfieldKuramotoMemory` |
| how the two are coupled | `Coupling`, `GatingCoupling`, `LowRankCoupling`, `AdditiveCoupling`, `MultiplicativeCoupling`, `BilinearCoupling`, `NetworkCoupling`, `PairCoupling` |
| memories with layers of units | `models.lateral_oscillators`, `models.lateral_conv_oscillators`, `models.deep_oscillators` |
| initial state: trained, told by a cue, in groups | `InitialState`, `TrainedOscillators`, `CuedOscillators`, `GroupedOscillators` |
| numbers as oscillators, and back | `ops.encode_scalars`, `ops.decode_scalars`, `ops.centre_pixels` |
| classifiers of images by recall | `models.MemoryClassifier`, `models.HopfieldClassifier`, `models.CoupledClassifier` |
| activation functions, as gradients of a Lagrangian | `lagrangians.Lagrangian`, `lagrangians.LinearLagrangian`, `lagrangians.ReLULagrangian`, `lagrangians.TanhLagrangian`, `lagrangians.SigmoidLagrangian`, `lagrangians.SoftmaxLagrangian`, `lagrangians.LayerNormLagrangian`, `lagrangians.BlockLagrangian`, `lagrangians.FunctionLagrangian`, `lagrangians.get` |
| potentials of pairs of oscillators | `potentials.PairPotential`, `potentials.LinearPotential`, `potentials.SeparablePotential`, `potentials.ReLUPotential`, `potentials.SigmoidPotential`, `potentials.TanhPotential`, `potentials.AttentionPotential`, `potentials.FunctionPotential`, `potentials.get` |
| sums over pairs of oscillators | `ops.AllPairs`, `ops.EdgePairs` |

| Dense associative memory, modern Hopfield networks | |
| --- | --- |
| modern Hopfield recall, also over a graph of memories (CDAM) | `CDAMRecall` |
| attention over memories, trained | `CDAMAttention` |
| a finite automaton whose states are memories | `FiniteAutomaton` |
| a graph of memories as a matrix | `ops.memory_graph`, `ops.MemoryGraph` |
| how many memories carry the attention | `metrics.memories_for_mass` |

| Memories that learn | |
| --- | --- |
| softmax-weighted synapses, which follow what they are shown | `SynapticMemory` |
| generating functions, recall in quasi-equilibrium | `QuasiEquilibriumMemory`, `HebbianMemory` |
| closed forms of what they learn | `learning_rules.expected_memories`, `learning_rules.expected_similarity`, `learning_rules.cosine_similarity`, `learning_rules.hebbian_coupling` |
| spectra: stability of recall, edges for random memories | `learning_rules.is_hyperbolic`, `learning_rules.marchenko_pastur_edges` |
| weights over several devices, on JAX | `layouts.split_patterns`, `layouts.split_channels` |

| What they are made of | |
| --- | --- |
| solvers of differential equations | `solvers.FixedStepSolver`, `solvers.AdaptiveSolver`, `solvers.Solution`, `solvers.Tableau`, `solvers.TABLEAUS` |
| a loop of a bounded number of steps that trains everywhere | `ops.bounded_loop` |
| the sphere | `ops.normalize`, `ops.safe_norm`, `ops.project_to_tangent`, `ops.random_on_sphere`, `ops.random_rotation`, `ops.split_oscillators`, `ops.join_oscillators` |
| angles of positions | `ops.axial_angles`, `ops.harmonic_angles` |
| bases: of layers, of layers in full precision, of models | `Layer`, `StateLayer`, `models.ConfiguredModel` |
| AKOrN authors' weights | `interop.akorn.kuramoto_layer`, `interop.akorn.oscillator_readout`, `interop.akorn.sudoku_model`, `interop.akorn.object_model`, `interop.akorn.classifier` |
| Hopfield-Kuramoto authors' arrays | `interop.hkmemory.hopfield`, `interop.hkmemory.hierarchical_hopfield`, `interop.hkmemory.kuramoto`, `interop.hkmemory.hopfield_kuramoto`, `interop.hkmemory.encode_pixels` |
"""
# ruff: noqa: E501 (a row of the table is a line)

from keras_kuramoto.layers.attention_connectivity import AttentionConnectivity, SymmetricAttentionConnectivity
from keras_kuramoto.layers.board_encoding import BoardEncoding
from keras_kuramoto.layers.cdam_attention import CDAMAttention
from keras_kuramoto.layers.cdam_recall import CDAMRecall
from keras_kuramoto.layers.connectivity import Connectivity
from keras_kuramoto.layers.conv_connectivity import (
    ConvConnectivity,
    FixedKernelConnectivity,
    SymmetricConvConnectivity,
    gaussian_kernel,
    random_kernel,
)
from keras_kuramoto.layers.couplings import (
    AdditiveCoupling,
    BilinearCoupling,
    Coupling,
    GatingCoupling,
    LowRankCoupling,
    MultiplicativeCoupling,
    NetworkCoupling,
    PairCoupling,
)
from keras_kuramoto.layers.cued_oscillators import CuedOscillators
from keras_kuramoto.layers.dense_connectivity import DenseConnectivity, SymmetricDenseConnectivity
from keras_kuramoto.layers.feed_forward_connectivity import FeedForwardConnectivity
from keras_kuramoto.layers.finite_automaton import FiniteAutomaton
from keras_kuramoto.layers.grouped_oscillators import GroupedOscillators
from keras_kuramoto.layers.hierarchical_connectivity import HierarchicalConnectivity, HierarchicalConvConnectivity
from keras_kuramoto.layers.hopfield_kuramoto_memory import HopfieldKuramotoMemory
from keras_kuramoto.layers.hopfield_memory import HopfieldMemory
from keras_kuramoto.layers.initial_oscillators import InitialOscillators
from keras_kuramoto.layers.initial_state import InitialState
from keras_kuramoto.layers.kuramoto_block import KuramotoBlock
from keras_kuramoto.layers.kuramoto_layer import KuramotoLayer
from keras_kuramoto.layers.kuramoto_memory import KuramotoMemory
from keras_kuramoto.layers.kuramoto_network import KuramotoNetwork
from keras_kuramoto.layers.lateral_connectivity import LateralConnectivity
from keras_kuramoto.layers.layer import Layer, StateLayer
from keras_kuramoto.layers.memory import Memory
from keras_kuramoto.layers.natural_frequency import NaturalFrequency
from keras_kuramoto.layers.oscillator_readout import OscillatorReadout
from keras_kuramoto.layers.position_embedding import PositionEmbedding
from keras_kuramoto.layers.position_encoding import GTA, AbsoluteEncoding, PositionEncoding, RotaryEncoding
from keras_kuramoto.layers.quasi_equilibrium_memory import HebbianMemory, QuasiEquilibriumMemory
from keras_kuramoto.layers.repeat import Repeat
from keras_kuramoto.layers.residual import Residual
from keras_kuramoto.layers.synaptic_memory import SynapticMemory
from keras_kuramoto.layers.trained_oscillators import TrainedOscillators
from keras_kuramoto.layers.transformer_block import TransformerBlock
from keras_kuramoto.layers.transition import SharedTransition, StimuliTransition, Transition
from keras_kuramoto.layers.until_rest import UntilRest

__all__ = [
    "GTA",
    "AbsoluteEncoding",
    "AdditiveCoupling",
    "AttentionConnectivity",
    "BilinearCoupling",
    "BoardEncoding",
    "CDAMAttention",
    "CDAMRecall",
    "Connectivity",
    "ConvConnectivity",
    "Coupling",
    "CuedOscillators",
    "DenseConnectivity",
    "FeedForwardConnectivity",
    "FiniteAutomaton",
    "FixedKernelConnectivity",
    "GatingCoupling",
    "GroupedOscillators",
    "HebbianMemory",
    "HierarchicalConnectivity",
    "HierarchicalConvConnectivity",
    "HopfieldKuramotoMemory",
    "HopfieldMemory",
    "InitialOscillators",
    "InitialState",
    "KuramotoBlock",
    "KuramotoLayer",
    "KuramotoMemory",
    "KuramotoNetwork",
    "LateralConnectivity",
    "Layer",
    "LowRankCoupling",
    "Memory",
    "MultiplicativeCoupling",
    "NaturalFrequency",
    "NetworkCoupling",
    "OscillatorReadout",
    "PairCoupling",
    "PositionEmbedding",
    "PositionEncoding",
    "QuasiEquilibriumMemory",
    "Repeat",
    "Residual",
    "RotaryEncoding",
    "SharedTransition",
    "StateLayer",
    "StimuliTransition",
    "SymmetricAttentionConnectivity",
    "SymmetricConvConnectivity",
    "SymmetricDenseConnectivity",
    "SynapticMemory",
    "TrainedOscillators",
    "TransformerBlock",
    "Transition",
    "UntilRest",
    "gaussian_kernel",
    "random_kernel",
]
