"""Tests of rrdns."""
