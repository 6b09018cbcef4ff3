"""Keras layers."""

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
from keras_kuramoto.layers.position_encoding import GTA, AbsoluteEncoding, PositionEncoding, RotaryEncoding
from keras_kuramoto.layers.quasi_equilibrium_memory import HebbianMemory, QuasiEquilibriumMemory
from keras_kuramoto.layers.repeat import Repeat
from keras_kuramoto.layers.residual import Residual
from keras_kuramoto.layers.synaptic_memory import SynapticMemory
from keras_kuramoto.layers.trained_oscillators import TrainedOscillators
from keras_kuramoto.layers.transformer_block import TransformerBlock
from keras_kuramoto.layers.transition import SharedTransition, StimuliTransition, Transition

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
    "gaussian_kernel",
    "random_kernel",
]
