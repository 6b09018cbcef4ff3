"""Keras layers."""

from keras_kuramoto.layers.attention_connectivity import AttentionConnectivity, SymmetricAttentionConnectivity
from keras_kuramoto.layers.conv_connectivity import (
    ConvConnectivity,
    FixedKernelConnectivity,
    SymmetricConvConnectivity,
    gaussian_kernel,
    random_kernel,
)
from keras_kuramoto.layers.dense_connectivity import DenseConnectivity, SymmetricDenseConnectivity
from keras_kuramoto.layers.initial_oscillators import InitialOscillators
from keras_kuramoto.layers.kuramoto_layer import KuramotoLayer
from keras_kuramoto.layers.natural_frequency import NaturalFrequency
from keras_kuramoto.layers.oscillator_readout import OscillatorReadout
from keras_kuramoto.layers.position_encoding import GTA, AbsoluteEncoding, PositionEncoding, RotaryEncoding
from keras_kuramoto.layers.repeat import Repeat
from keras_kuramoto.layers.transformer_block import TransformerBlock

__all__ = [
    "GTA",
    "AbsoluteEncoding",
    "AttentionConnectivity",
    "ConvConnectivity",
    "DenseConnectivity",
    "FixedKernelConnectivity",
    "InitialOscillators",
    "KuramotoLayer",
    "NaturalFrequency",
    "OscillatorReadout",
    "PositionEncoding",
    "Repeat",
    "RotaryEncoding",
    "SymmetricAttentionConnectivity",
    "SymmetricConvConnectivity",
    "SymmetricDenseConnectivity",
    "TransformerBlock",
    "gaussian_kernel",
    "random_kernel",
]
