"""Quantisation algorithms by their names."""

from enum import Enum


class QuantAlgo(str, Enum):
    W8A16 = "W8A16"
    W8A8_SQ_PER_CHANNEL = "W8A8_SQ_PER_CHANNEL"
    W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN = "W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN"
