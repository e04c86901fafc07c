# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests on guests: tests/guests.py runs them."""
